// Nobody is there to answer: whatever asks a person fails, as in a service.
using System.Globalization;
using System.Management.Automation.Host;

namespace Farshore.PowerShellHost;

public sealed class SilentHost : PSHost
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
