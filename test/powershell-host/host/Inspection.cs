// What Windows PowerShell 5.1 does not know in a script, one line each.
using System.Management.Automation.Language;

namespace Farshore.PowerShellHost;

internal static class Inspection
{
    public static int Check(string script)
    {
        var ast = Parser.ParseFile(script, out var tokens, out var errors);
        var found = errors.Select(error => error.ToString()).ToList();
        found.AddRange(ast.FindAll(part => part is TernaryExpressionAst or PipelineChainAst, true).Select(part => part.Extent.Text));
        found.AddRange(tokens.Where(token => token.Kind is TokenKind.QuestionQuestion or TokenKind.QuestionQuestionEquals or TokenKind.QuestionDot).Select(token => token.Extent.Text));
        found.AddRange(ast.FindAll(part => part is CommandAst { CommandElements: [var name, ..] } && name.ToString() is "Invoke-Expression" or "iex", true).Select(part => part.Extent.Text));
        found.ForEach(Console.WriteLine);
        return found.Count == 0 ? 0 : 1;
    }
}
