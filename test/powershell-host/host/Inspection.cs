// What a script holds, as data for the judgement in test/support/powershell: a request {path, text?} and an answer a line, on standard input and output.
using System.Management.Automation;
using System.Management.Automation.Language;
using System.Management.Automation.Runspaces;
using System.Text;
using Facts = System.Collections.Generic.Dictionary<string, object?>;
using Json = Farshore.Stubs.Json;

namespace Farshore.PowerShellHost;

internal sealed class Inspection
{
    private readonly OldApi oldApi;
    private readonly HashSet<string> cmdlets;

    private Inspection(OldApi oldApi, IEnumerable<string> cmdlets)
    {
        this.oldApi = oldApi;
        this.cmdlets = new HashSet<string>(cmdlets, StringComparer.OrdinalIgnoreCase);
    }

    /// <param name="references">A file with the paths of the reference assemblies of the oldest platform.</param>
    /// <param name="modules">Whose cmdlets are known to the binder; they are never run.</param>
    public static int Serve(string references, IEnumerable<string> modules)
    {
        (Console.InputEncoding, Console.OutputEncoding) = (new UTF8Encoding(false), new UTF8Encoding(false));
        using var runspace = Engine.Open(new SilentHost());
        Runspace.DefaultRunspace = runspace;
        using var shell = PowerShell.Create(runspace);
        shell.AddCommand("Import-Module").AddParameter("Name", modules.ToArray()).AddStatement().AddCommand("Get-Command").AddParameter("CommandType", CommandTypes.Cmdlet);
        var cmdlets = shell.Invoke<CmdletInfo>().Select(cmdlet => cmdlet.Name);
        var inspection = new Inspection(new OldApi(File.ReadAllLines(references)), cmdlets);
        Console.Out.WriteLine(Json.Write(new Facts { ["verbs"] = inspection.oldApi.Verbs() }));
        while (Console.In.ReadLine() is { } line)
        {
            var request = (IDictionary<string, object?>)Json.Read(line)!;
            Console.Out.WriteLine(Json.Write(inspection.Look((string)request["path"]!, (string)request["text"]!)));
        }
        return 0;
    }

    private Facts Look(string path, string text)
    {
        var ast = (Ast)Parser.ParseInput(text, path, out var tokens, out var errors);
        // What is left of a broken text says nothing.
        if (errors.Length > 0) ast = Parser.ParseInput("", out tokens, out _);
        return new Facts
        {
            ["errors"] = errors.Select(error => At(error.Extent, new Facts { ["message"] = error.Message })).ToList(),
            ["syntax"] = LaterSyntax.Find(ast, tokens).Select(extent => At(extent, new Facts { ["text"] = extent.Text })).ToList(),
            ["types"] = Types(ast).ToList(),
            ["members"] = Members(ast).ToList(),
            ["functions"] = All<FunctionDefinitionAst>(ast).Select(Functions.Describe).ToList(),
            ["commands"] = All<CommandAst>(ast).Select(command => Commands.Describe(command, cmdlets)).ToList(),
        };
    }

    /// <summary>Every type that is named, and whether the oldest platform has it.</summary>
    private IEnumerable<Facts> Types(Ast ast)
    {
        var named = All<TypeExpressionAst>(ast).Select(part => part.TypeName).Concat(All<TypeConstraintAst>(ast).Select(part => part.TypeName)).Concat(All<AttributeAst>(ast).Select(part => part.TypeName));
        foreach (var name in named)
        {
            var type = name.GetReflectionType() ?? (name.GetReflectionAttributeType());
            var isOld = type is not null ? oldApi.Has(type) : name.Name.Equals("ordered", StringComparison.OrdinalIgnoreCase);
            yield return At(name.Extent, new Facts { ["name"] = name.FullName, ["isKnown"] = type is not null || isOld, ["isOld"] = isOld });
        }
    }

    /// <summary>Members by name; of a type also whether the oldest platform has one of that name.</summary>
    private IEnumerable<Facts> Members(Ast ast)
    {
        foreach (var member in All<MemberExpressionAst>(ast))
        {
            var type = (member.Expression as TypeExpressionAst)?.TypeName.GetReflectionType();
            var name = (member.Member as StringConstantExpressionAst)?.Value;
            yield return At(member.Member.Extent, new Facts
            {
                ["name"] = name,
                ["type"] = type?.FullName,
                ["isCall"] = member is InvokeMemberExpressionAst,
                ["isOld"] = type is null || name is null || name.Equals("new", StringComparison.OrdinalIgnoreCase) || oldApi.Has(type, name),
            });
        }
    }

    internal static IEnumerable<T> All<T>(Ast ast) where T : Ast => ast.FindAll(part => part is T, true).Cast<T>();

    internal static Facts At(IScriptExtent extent, Facts facts)
    {
        facts["line"] = extent.StartLineNumber;
        facts["from"] = extent.StartOffset;
        facts["to"] = extent.EndOffset;
        return facts;
    }
}
