// host run <stubs.ps1> <script.ps1>   runs the script as `powershell -File` does: its output, its errors, its exit code
// host check <script.ps1>             names what Windows PowerShell 5.1 does not know, one line each
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Management.Automation.Language;
using System.Management.Automation.Runspaces;
using System.Text.Json;

return args[0] == "check" ? Check(args[1]) : Run(args[1], args[2]);

static int Run(string stubs, string script)
{
    var state = InitialSessionState.CreateDefault2();
    state.Commands.Add(new SessionStateCmdletEntry("ConvertFrom-Json", typeof(ConvertFromJson), null));
    var host = new Host();
    using var runspace = RunspaceFactory.CreateRunspace(host, state);
    runspace.Open();
    using var shell = PowerShell.Create(runspace);
    shell.AddScript("param($stubs, $script) . ([scriptblock]::Create([IO.File]::ReadAllText($stubs))); & ([scriptblock]::Create([IO.File]::ReadAllText($script)))")
        .AddArgument(stubs).AddArgument(script);
    var output = new PSDataCollection<PSObject>();
    output.DataAdded += (_, added) => Console.WriteLine(output[added.Index]);
    try
    {
        shell.Invoke(null, output);
    }
    catch (RuntimeException thrown)
    {
        Console.Error.WriteLine(thrown.ErrorRecord);
        return 1;
    }
    foreach (var error in shell.Streams.Error) Console.Error.WriteLine(error);
    return host.ExitCode ?? 0;
}

static int Check(string script)
{
    var ast = Parser.ParseFile(script, out var tokens, out var errors);
    var found = errors.Select(error => error.ToString()).ToList();
    found.AddRange(ast.FindAll(part => part is TernaryExpressionAst or PipelineChainAst, true).Select(part => part.Extent.Text));
    found.AddRange(tokens.Where(token => token.Kind is TokenKind.QuestionQuestion or TokenKind.QuestionQuestionEquals or TokenKind.QuestionDot).Select(token => token.Extent.Text));
    found.AddRange(ast.FindAll(part => part is CommandAst { CommandElements: [var name, ..] } && name.ToString() is "Invoke-Expression" or "iex", true).Select(part => part.Extent.Text));
    found.ForEach(Console.WriteLine);
    return found.Count == 0 ? 0 : 1;
}

[Cmdlet("ConvertFrom", "Json")]
public sealed class ConvertFromJson : PSCmdlet
{
    [Parameter(Mandatory = true, ValueFromPipeline = true, Position = 0)]
    public string InputObject { get; set; } = "";

    protected override void ProcessRecord() => WriteObject(Value(JsonDocument.Parse(InputObject).RootElement));

    private static object? Value(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => Object(element),
        JsonValueKind.Array => element.EnumerateArray().Select(Value).ToArray(),
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.TryGetInt32(out var whole) ? whole : element.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => null,
    };

    private static PSObject Object(JsonElement element)
    {
        var made = new PSObject();
        foreach (var property in element.EnumerateObject()) made.Properties.Add(new PSNoteProperty(property.Name, Value(property.Value)));
        return made;
    }
}

/// <summary>Nobody is there to answer: whatever asks a person fails, as in a service.</summary>
public sealed class Host : PSHost
{
    public int? ExitCode { get; private set; }
    public override string Name => "farshore-tests";
    public override Version Version => new(1, 0);
    public override Guid InstanceId { get; } = Guid.NewGuid();
    public override CultureInfo CurrentCulture => CultureInfo.InvariantCulture;
    public override CultureInfo CurrentUICulture => CultureInfo.InvariantCulture;
    public override PSHostUserInterface? UI => null;
    public override void EnterNestedPrompt() => throw new NotSupportedException();
    public override void ExitNestedPrompt() => throw new NotSupportedException();
    public override void NotifyBeginApplication() { }
    public override void NotifyEndApplication() { }
    public override void SetShouldExit(int exitCode) => ExitCode = exitCode;
}
