// What every stub does: bind as the real cmdlet binds, ask as it asks, and leave the rest to the model at the other end of a pipe.
using System.Management.Automation;
using System.Reflection;

namespace Farshore.Stubs;

public abstract class StubCmdlet : PSCmdlet
{
    protected override void ProcessRecord()
    {
        var given = MyInvocation.BoundParameters.Where(parameter => GetType().GetProperty(parameter.Key, BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Public) != null).ToList();
        var mayAsk = GetType().GetCustomAttribute<CmdletAttribute>()!.SupportsShouldProcess;
        if (mayAsk && !ShouldProcess(string.Join(", ", given.Take(1).Select(parameter => $"{parameter.Value}")))) return;
        Tell(Ask(given));
    }

    private IDictionary<string, object?> Ask(IEnumerable<KeyValuePair<string, object>> given)
    {
        var call = new Dictionary<string, object?>
        {
            ["cmdlet"] = MyInvocation.MyCommand.Name,
            ["parameterSet"] = ParameterSetName,
            ["parameters"] = given.ToDictionary(parameter => parameter.Key, parameter => Objects.Encode(parameter.Value)),
        };
        try
        {
            return (IDictionary<string, object?>)Json.Read(Model.Ask(Json.Write(call)))!;
        }
        catch (IOException lost)
        {
            ThrowTerminatingError(new ErrorRecord(lost, "ModelGone", ErrorCategory.ConnectionError, null));
            throw;
        }
    }

    private void Tell(IDictionary<string, object?> answer)
    {
        if (answer.TryGetValue("warning", out var warning) && warning is string text) WriteWarning(text);
        if (answer.TryGetValue("objects", out var objects) && objects is IEnumerable<object?> list)
        {
            foreach (var item in list) WriteObject(Objects.Decode(item, null));
        }
        if (!answer.TryGetValue("error", out var told) || told is not IDictionary<string, object?> error) return;
        var record = Errors.Record(error);
        if (error.TryGetValue("terminating", out var ends) && ends is true) ThrowTerminatingError(record);
        WriteError(record);
    }
}
