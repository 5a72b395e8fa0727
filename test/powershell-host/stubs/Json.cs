// JSON as dictionaries, lists, text, numbers (long, double), booleans and null: .NET Framework has no reader of its own that both editions share.
using System.Collections;
using System.Globalization;
using System.Text;

namespace Farshore.Stubs;

internal sealed class Json
{
    private readonly string text;
    private int at;

    private Json(string text) => this.text = text;

    public static object? Read(string text)
    {
        var json = new Json(text);
        var value = json.Value();
        json.Space();
        return json.at == text.Length ? value : throw json.Wrong();
    }

    public static string Write(object? value)
    {
        var made = new StringBuilder();
        Write(value, made);
        return made.ToString();
    }

    public static string Quote(string text)
    {
        var made = new StringBuilder();
        Quote(text, made);
        return made.ToString();
    }

    private static void Write(object? value, StringBuilder made)
    {
        switch (value)
        {
            case null: made.Append("null"); break;
            case string text: Quote(text, made); break;
            case bool flag: made.Append(flag ? "true" : "false"); break;
            case IDictionary<string, object?> members: Write(members, '{', '}', member => { Quote(member.Key, made); made.Append(':'); Write(member.Value, made); }, made); break;
            case IEnumerable list: Write(list.Cast<object?>(), '[', ']', item => Write(item, made), made); break;
            default: made.Append(((IFormattable)value).ToString(null, CultureInfo.InvariantCulture)); break;
        }
    }

    private static void Write<T>(IEnumerable<T> items, char opens, char closes, Action<T> write, StringBuilder made)
    {
        made.Append(opens);
        var isFirst = true;
        foreach (var item in items)
        {
            if (!isFirst) made.Append(',');
            isFirst = false;
            write(item);
        }
        made.Append(closes);
    }

    private static void Quote(string text, StringBuilder made)
    {
        made.Append('"');
        foreach (var letter in text)
        {
            if (letter is '"' or '\\') made.Append('\\').Append(letter);
            else if (letter < ' ' || char.IsSurrogate(letter)) made.Append("\\u").Append(((int)letter).ToString("x4"));
            else made.Append(letter);
        }
        made.Append('"');
    }

    private object? Value()
    {
        Space();
        return (at < text.Length ? text[at] : '\0') switch
        {
            '{' => Object(),
            '[' => List(),
            '"' => Text(),
            't' => Word("true", true),
            'f' => Word("false", false),
            'n' => Word("null", null),
            _ => Number(),
        };
    }

    private Dictionary<string, object?> Object()
    {
        var made = new Dictionary<string, object?>();
        Items('}', () =>
        {
            Space();
            var name = Text();
            Space();
            Take(':');
            made[name] = Value();
        });
        return made;
    }

    private List<object?> List()
    {
        var made = new List<object?>();
        Items(']', () => made.Add(Value()));
        return made;
    }

    private void Items(char closes, Action item)
    {
        at++;
        Space();
        if (at < text.Length && text[at] == closes) { at++; return; }
        for (; ; )
        {
            item();
            Space();
            if (at < text.Length && text[at] == ',') { at++; continue; }
            Take(closes);
            return;
        }
    }

    private string Text()
    {
        Take('"');
        var made = new StringBuilder();
        while (at < text.Length && text[at] != '"')
        {
            if (text[at] != '\\') { made.Append(text[at++]); continue; }
            if (at + 1 >= text.Length) throw Wrong();
            var escape = text[at + 1];
            at += 2;
            if (escape != 'u') { made.Append(escape switch { 'n' => '\n', 'r' => '\r', 't' => '\t', 'b' => '\b', 'f' => '\f', _ => escape }); continue; }
            if (at + 4 > text.Length) throw Wrong();
            made.Append((char)int.Parse(text.Substring(at, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
            at += 4;
        }
        Take('"');
        return made.ToString();
    }

    private object Number()
    {
        var from = at;
        while (at < text.Length && "+-.eE0123456789".IndexOf(text[at]) >= 0) at++;
        var number = text.Substring(from, at - from);
        if (long.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) return whole;
        return double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var broken) ? broken : throw Wrong();
    }

    private object? Word(string word, object? value)
    {
        if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw Wrong();
        at += word.Length;
        return value;
    }

    private void Take(char letter)
    {
        if (at >= text.Length || text[at] != letter) throw Wrong();
        at++;
    }

    private void Space()
    {
        while (at < text.Length && text[at] is ' ' or '\t' or '\r' or '\n') at++;
    }

    private ArgumentException Wrong() => new($"Invalid JSON primitive at {at}: {text.Substring(Math.Min(at, text.Length), Math.Min(20, text.Length - Math.Min(at, text.Length)))}.");
}
