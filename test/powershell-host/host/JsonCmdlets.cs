// ConvertTo-Json and ConvertFrom-Json, which are not in the engine's package. They keep to the documented traps of the edition that
// FARSHORE_EDITION names: Desktop (Windows PowerShell 5.1, the default) or Core (PowerShell 7).
using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Text;
using Farshore.Stubs;

namespace Farshore.PowerShellHost;

internal static class Edition
{
    public static bool IsCore => Environment.GetEnvironmentVariable("FARSHORE_EDITION") == "Core";
    public static readonly DateTime Epoch = new(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
}

[Cmdlet("ConvertFrom", "Json")]
public sealed class ConvertFromJson : PSCmdlet
{
    private readonly List<string> lines = [];

    [Parameter(Mandatory = true, ValueFromPipeline = true, Position = 0)]
    [AllowEmptyString]
    public string InputObject { get; set; } = "";

    protected override void ProcessRecord() => lines.Add(InputObject);

    /// <summary>PowerShell 7 hands out the elements of a list one by one, 5.1 the list.</summary>
    protected override void EndProcessing()
    {
        var text = string.Join('\n', lines);
        if (text.Trim().Length > 0) WriteObject(Value(Json.Read(text)), Edition.IsCore);
    }

    private static object? Value(object? read) => read switch
    {
        IDictionary<string, object?> members => Object(members),
        IList<object?> list => list.Select(Value).ToArray(),
        string text => Time(text) ?? (object)text,
        long whole when !Edition.IsCore && whole is >= int.MinValue and <= int.MaxValue => (int)whole,
        double broken when !Edition.IsCore => Decimal(broken),
        _ => read,
    };

    private static object Decimal(double broken) => Math.Abs(broken) < 7e27 ? (decimal)broken : broken;

    private static DateTime? Time(string text)
    {
        if (text.StartsWith("/Date(", StringComparison.Ordinal) && long.TryParse(text[6..^2], out var milliseconds)) return Edition.Epoch.AddMilliseconds(milliseconds);
        var looksLikeOne = Edition.IsCore && text.Length >= 19 && text[4] == '-' && text[10] == 'T';
        return looksLikeOne && DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var time) ? time : null;
    }

    private static PSObject Object(IDictionary<string, object?> members)
    {
        var made = new PSObject();
        foreach (var member in members) made.Properties.Add(new PSNoteProperty(member.Key, Value(member.Value)));
        return made;
    }
}

[Cmdlet("ConvertTo", "Json")]
public sealed class ConvertToJson : PSCmdlet
{
    private readonly List<object?> objects = [];

    [Parameter(Mandatory = true, ValueFromPipeline = true, Position = 0)]
    [AllowNull]
    public object? InputObject { get; set; }

    [Parameter]
    [ValidateRange(0, 100)]
    public int Depth { get; set; } = 2;

    [Parameter]
    public SwitchParameter Compress { get; set; }

    protected override void ProcessRecord() => objects.Add(InputObject);

    /// <summary>One object that came alone is written by itself, even if it was the only element of a list.</summary>
    protected override void EndProcessing()
    {
        var made = new StringBuilder();
        Write(objects.Count == 1 ? objects[0] : objects, 0, made);
        WriteObject(made.ToString());
    }

    private void Write(object? given, int level, StringBuilder made)
    {
        var value = given is PSObject { BaseObject: not PSCustomObject } wrapped ? wrapped.BaseObject : given;
        if (Scalar(value) is { } scalar) made.Append(scalar);
        else if (level > Depth) made.Append(Quoted(LanguagePrimitives.ConvertTo<string>(given)));
        else if (value is IDictionary table) Block('{', '}', table.Keys.Cast<object>().Select(key => (Name: (string?)key.ToString(), Value: table[key])), level, made);
        else if (value is IEnumerable list) Block('[', ']', list.Cast<object?>().Select(item => (Name: (string?)null, Value: item)), level, made);
        else Block('{', '}', PSObject.AsPSObject(given).Properties.Select(property => (Name: (string?)property.Name, Value: Read(property))), level, made);
    }

    /// <summary>A property that throws is written as nothing.</summary>
    private static object? Read(PSPropertyInfo property)
    {
        try
        {
            return property.Value;
        }
        catch (GetValueException)
        {
            return null;
        }
    }

    private static string? Scalar(object? value) => value switch
    {
        null or DBNull => "null",
        string text => Quoted(text),
        char letter => Quoted(letter.ToString()),
        bool flag => flag ? "true" : "false",
        Enum member => Convert.ToInt64(member, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture),
        Guid or Uri => Quoted(value.ToString()!),
        DateTime time => Edition.IsCore ? Quoted(time.ToString("o", CultureInfo.InvariantCulture)) : $"\"\\/Date({(long)(time.ToUniversalTime() - Edition.Epoch).TotalMilliseconds})\\/\"",
        IFormattable number when value.GetType().IsPrimitive || value is decimal => number.ToString(null, CultureInfo.InvariantCulture),
        _ => null,
    };

    private static string Quoted(string text)
    {
        var quoted = Json.Quote(text);
        return Edition.IsCore ? quoted : quoted.Replace("<", "\\u003c").Replace(">", "\\u003e").Replace("&", "\\u0026").Replace("'", "\\u0027");
    }

    private void Block(char opens, char closes, IEnumerable<(string? Name, object? Value)> items, int level, StringBuilder made)
    {
        var isFirst = true;
        made.Append(opens);
        foreach (var (name, value) in items)
        {
            if (!isFirst) made.Append(',');
            isFirst = false;
            Line(level + 1, made);
            if (name is not null) made.Append(Quoted(name)).Append(Compress ? ":" : ": ");
            Write(value, level + 1, made);
        }
        if (!isFirst) Line(level, made);
        made.Append(closes);
    }

    private void Line(int level, StringBuilder made)
    {
        if (!Compress) made.Append('\n').Append(' ', level * 4);
    }
}
