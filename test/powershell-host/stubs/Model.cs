// The line to the model in the test process: one JSON text each way for each call, on a pipe whose name the environment tells. Calls at once have a line each.
using System.Collections.Concurrent;
using System.IO.Pipes;
using System.Text;

namespace Farshore.Stubs;

internal sealed class Model
{
    private static readonly ConcurrentBag<Model> free = [];
    private readonly StreamReader from;
    private readonly StreamWriter to;

    private Model(string pipe)
    {
        var stream = new NamedPipeClientStream(".", pipe, PipeDirection.InOut);
        stream.Connect(10_000);
        from = new StreamReader(stream, new UTF8Encoding(false));
        to = new StreamWriter(stream, new UTF8Encoding(false)) { AutoFlush = true, NewLine = "\n" };
    }

    public static string Ask(string call)
    {
        var pipe = Environment.GetEnvironmentVariable("FARSHORE_MODEL") ?? throw new IOException("FARSHORE_MODEL names no pipe: nothing is behind the stubs");
        if (!free.TryTake(out var line)) line = new Model(pipe);
        line.to.WriteLine(call);
        var answer = line.from.ReadLine() ?? throw new IOException("the model has gone");
        free.Add(line);
        return answer;
    }
}
