// Objects of the real types out of what the model says, and what a cmdlet was given as the model reads it: its own objects come back as references.
using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Reflection;
using System.Security;

namespace Farshore.Stubs;

/// <summary>Of a type whose properties are known; nothing but the model can make one.</summary>
public abstract class ModelObject
{
    internal object? Reference;
}

/// <summary>Of a type of which only the name is known: it has the properties that the model gives it.</summary>
public abstract class OpenObject : ModelObject;

internal static class Objects
{
    private static readonly Dictionary<string, Type> types = Types();

    private static Dictionary<string, Type> Types()
    {
        var found = new Dictionary<string, Type>();
        foreach (var type in typeof(Objects).Assembly.GetExportedTypes().Where(type => type.IsEnum || typeof(ModelObject).IsAssignableFrom(type)))
        {
            found[type.FullName!] = type;
            found[type.Name] = type;
        }
        return found;
    }

    public static object? Encode(object? value)
    {
        if (value is PSObject wrapped && wrapped.BaseObject is not PSCustomObject) value = wrapped.BaseObject;
        return value switch
        {
            null or string or bool => value,
            PSObject custom => custom.Properties.ToDictionary(property => property.Name, property => Encode(property.Value)),
            ModelObject made => new Dictionary<string, object?> { ["$type"] = made.GetType().FullName, ["$ref"] = made.Reference },
            SwitchParameter flag => flag.IsPresent,
            Enum or Guid or Version or Uri or TimeSpan or char or ScriptBlock => value.ToString(),
            DateTime time => time.ToUniversalTime().ToString("o", CultureInfo.InvariantCulture),
            PSCredential credential => new Dictionary<string, object?> { ["userName"] = credential.UserName, ["password"] = credential.GetNetworkCredential().Password },
            SecureString secret => new System.Net.NetworkCredential("", secret).Password,
            IDictionary table => table.Keys.Cast<object>().ToDictionary(key => key.ToString()!, key => Encode(table[key])),
            IEnumerable list => list.Cast<object?>().Select(Encode).ToList(),
            IFormattable number when value.GetType().IsPrimitive || value is decimal => number,
            _ => value.ToString(),
        };
    }

    public static object? Decode(object? value, Type? target)
    {
        if (target is { IsGenericType: true } && target.GetGenericTypeDefinition() == typeof(Nullable<>)) target = target.GetGenericArguments()[0];
        return value switch
        {
            null => null,
            IDictionary<string, object?> members when members.TryGetValue("$type", out var name) => Typed((string)name!, members),
            IDictionary<string, object?> members => Untyped(members, target),
            IList<object?> list => List(list, target),
            string text when target == typeof(DateTime) => Time(text),
            long whole when target is null && whole is >= int.MinValue and <= int.MaxValue => (int)whole,
            _ => target is null ? value : LanguagePrimitives.ConvertTo(value, target, CultureInfo.InvariantCulture),
        };
    }

    /// <summary>Cmdlets tell the time of their own place.</summary>
    private static DateTime Time(string text) => DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind).ToLocalTime();

    private static object? Typed(string name, IDictionary<string, object?> members)
    {
        var type = types.TryGetValue(name, out var ours) ? ours : Type.GetType("System." + name);
        if (members.TryGetValue("$value", out var value)) return Decode(value, type ?? throw Unknown(name));
        if (type is null || !typeof(ModelObject).IsAssignableFrom(type)) return Named(name, members);
        var made = (ModelObject)Activator.CreateInstance(type, true)!;
        members.TryGetValue("$ref", out made.Reference);
        foreach (var member in members.Where(member => member.Key[0] != '$')) Set(made, member.Key, member.Value);
        return made;
    }

    private static void Set(ModelObject made, string name, object? value)
    {
        var property = made.GetType().GetProperty(name, BindingFlags.Instance | BindingFlags.Public);
        if (property is not null) property.GetSetMethod(true)!.Invoke(made, [Decode(value, property.PropertyType)]);
        else if (made is OpenObject) PSObject.AsPSObject(made).Properties.Add(new PSNoteProperty(name, Decode(value, null)));
        else throw new InvalidOperationException($"the model gave {made.GetType().Name}.{name}, which that type does not have");
    }

    /// <summary>A type that another library has (a certificate, a CIM instance): its name and the properties that were given.</summary>
    private static PSObject Named(string name, IDictionary<string, object?> members)
    {
        if (!name.Contains('.')) throw Unknown(name);
        var made = Untyped(members.Where(member => member.Key[0] != '$').ToDictionary(member => member.Key, member => member.Value), null);
        ((PSObject)made).TypeNames.Insert(0, name);
        return (PSObject)made;
    }

    private static object Untyped(IDictionary<string, object?> members, Type? target)
    {
        if (target == typeof(Hashtable)) return new Hashtable(members.ToDictionary(member => member.Key, member => Decode(member.Value, null)));
        var made = new PSObject();
        foreach (var member in members) made.Properties.Add(new PSNoteProperty(member.Key, Decode(member.Value, null)));
        return made;
    }

    private static object List(IList<object?> list, Type? target)
    {
        var element = target is null ? null : target.IsArray ? target.GetElementType()! : target.GetGenericArguments().SingleOrDefault();
        var items = list.Select(item => Decode(item, element)).ToArray();
        if (element is null) return items;
        var array = Array.CreateInstance(element, items.Length);
        items.CopyTo(array, 0);
        return target!.IsArray ? array : Activator.CreateInstance(typeof(List<>).MakeGenericType(element), array)!;
    }

    private static InvalidOperationException Unknown(string name) => new($"the model gave an object of type {name}, which is not known here");
}
