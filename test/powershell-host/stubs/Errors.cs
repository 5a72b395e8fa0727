// Error records as the model orders them, with the exceptions that the modules throw under their own names.
using System.Management.Automation;

namespace Farshore.Stubs
{
    internal static class Errors
    {
        public static ErrorRecord Record(IDictionary<string, object?> error)
        {
            string Text(string name, string otherwise) => error.TryGetValue(name, out var value) && value is string text ? text : otherwise;
            var category = (ErrorCategory)Enum.Parse(typeof(ErrorCategory), Text("category", nameof(ErrorCategory.NotSpecified)));
            var exception = Exception(Text("exception", "System.InvalidOperationException"), Text("message", ""));
            error.TryGetValue("target", out var target);
            return new ErrorRecord(exception, Text("id", "Unspecified"), category, Objects.Decode(target, null));
        }

        private static Exception Exception(string name, string message)
        {
            var type = Type.GetType(name) ?? typeof(Errors).Assembly.GetTypes().FirstOrDefault(type => type.Name == name || type.FullName == name)
                ?? throw new InvalidOperationException($"the model gave the exception {name}, which is not known here");
            return (Exception)Activator.CreateInstance(type, message)!;
        }
    }
}

namespace Microsoft.HyperV.PowerShell
{
    public class VirtualizationException(string message) : Exception(message);

    public class VirtualizationOperationFailedException(string message) : VirtualizationException(message);

    public class VirtualizationInvalidArgumentException(string message) : VirtualizationException(message);
}

namespace Microsoft.VirtualManager.Utils
{
    public class CarmineException(string message) : Exception(message);
}

namespace Microsoft.FailoverClusters.PowerShell
{
    public class ClusterCmdletException(string message) : Exception(message);
}
