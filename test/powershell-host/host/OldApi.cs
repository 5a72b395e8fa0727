// What .NET Framework 4.8 and Windows PowerShell 5.1 have, read from the reference assemblies that stand for both: .NET Standard 2.0 and PowerShell Standard 5.1.
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Farshore.PowerShellHost;

internal sealed class OldApi
{
    private readonly Dictionary<string, HashSet<string>> members = [];

    public OldApi(IEnumerable<string> assemblies)
    {
        foreach (var file in assemblies)
        {
            using var image = new PEReader(File.OpenRead(file));
            var reader = image.GetMetadataReader();
            foreach (var handle in reader.TypeDefinitions) Add(reader, reader.GetTypeDefinition(handle));
        }
    }

    public bool Has(Type type)
    {
        if (type.IsArray || type.IsByRef) return Has(type.GetElementType()!);
        if (type.IsConstructedGenericType) return Has(type.GetGenericTypeDefinition()) && type.GetGenericArguments().All(Has);
        return members.ContainsKey(type.FullName!) || type.Assembly.GetName().Name == "Farshore.Stubs";
    }

    public bool Has(Type type, string member)
    {
        for (var at = type; at is not null; at = at.BaseType)
        {
            if (members.TryGetValue((at.IsConstructedGenericType ? at.GetGenericTypeDefinition() : at).FullName!, out var names) && names.Contains(member)) return true;
        }
        return type.Assembly.GetName().Name == "Farshore.Stubs";
    }

    /// <summary>Names of the approved verbs.</summary>
    public List<string> Verbs() =>
        [.. members.Where(type => type.Key.StartsWith("System.Management.Automation.Verbs", StringComparison.Ordinal)).SelectMany(type => type.Value).Where(name => char.IsLetter(name[0])).Distinct().Order()];

    private void Add(MetadataReader reader, TypeDefinition type)
    {
        var name = Name(reader, type);
        if (!members.TryGetValue(name, out var names)) members[name] = names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var handle in type.GetMethods()) names.Add(reader.GetString(reader.GetMethodDefinition(handle).Name));
        foreach (var handle in type.GetProperties()) names.Add(reader.GetString(reader.GetPropertyDefinition(handle).Name));
        foreach (var handle in type.GetFields()) names.Add(reader.GetString(reader.GetFieldDefinition(handle).Name));
    }

    private static string Name(MetadataReader reader, TypeDefinition type)
    {
        var name = reader.GetString(type.Name);
        if (type.IsNested) return $"{Name(reader, reader.GetTypeDefinition(type.GetDeclaringType()))}+{name}";
        return type.Namespace.IsNil ? name : $"{reader.GetString(type.Namespace)}.{name}";
    }
}
