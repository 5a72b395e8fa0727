// powershell [-NoLogo -NoProfile -NonInteractive] -File <script.ps1> [arguments]   runs the script: its output, its errors, its exit code
// powershell inspect <references.txt> <module>...                               tells what scripts hold: JSON lines in and out
using System.Management.Automation;
using System.Management.Automation.Runspaces;
using Farshore.PowerShellHost;

return args[0] == "inspect" ? Inspection.Serve(args[1], args.Skip(2)) : Run(args);

static int Run(string[] args)
{
    var at = Array.FindIndex(args, argument => argument.Equals("-File", StringComparison.OrdinalIgnoreCase));
    if (at < 0 || at + 1 >= args.Length) throw new ArgumentException("only `-File <script> [arguments]` is known here");
    var host = new SilentHost();
    using var runspace = Engine.Open(host);
    using var shell = PowerShell.Create(runspace);
    var scripts = new List<string>();
    if (Environment.GetEnvironmentVariable("FARSHORE_PRELUDE") is { Length: > 0 } prelude) scripts.Add($". {Quoted(prelude)}");
    scripts.Add($". {Quoted(Path.GetFullPath(args[at + 1]))} {string.Join(' ', args.Skip(at + 2).Select(Argument))}");
    // `exit` ends a script file, and only the engine's own console passes on its code.
    scripts.Add("if (-not $?) { exit $LASTEXITCODE }");
    shell.AddScript(string.Join('\n', scripts));
    PassOn(shell.Streams);
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
    return host.ExitCode ?? 0;
}

// As powershell.exe does with its output redirected: all but errors on standard output.
static void PassOn(PSDataStreams streams)
{
    streams.Error.DataAdded += (_, added) => Console.Error.WriteLine(streams.Error[added.Index]);
    streams.Warning.DataAdded += (_, added) => Console.WriteLine($"WARNING: {streams.Warning[added.Index]}");
    streams.Verbose.DataAdded += (_, added) => Console.WriteLine($"VERBOSE: {streams.Verbose[added.Index]}");
    streams.Information.DataAdded += (_, added) => Console.WriteLine(streams.Information[added.Index]);
}

static string Quoted(string text) => $"'{text.Replace("'", "''")}'";

static string Argument(string text) => text.Length > 1 && text[0] == '-' && char.IsLetter(text[1]) && text.All(letter => char.IsLetterOrDigit(letter) || letter is '-' or '_') ? text : Quoted(text);

internal static class Engine
{
    public static Runspace Open(SilentHost host)
    {
        var state = InitialSessionState.CreateDefault2();
        state.Commands.Add(new SessionStateCmdletEntry("ConvertFrom-Json", typeof(ConvertFromJson), null));
        state.Commands.Add(new SessionStateCmdletEntry("ConvertTo-Json", typeof(ConvertToJson), null));
        var runspace = RunspaceFactory.CreateRunspace(host, state);
        runspace.Open();
        return runspace;
    }
}
