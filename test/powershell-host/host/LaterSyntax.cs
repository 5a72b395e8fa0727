// What the parser of PowerShell 7 takes and Windows PowerShell 5.1 does not, or takes for something else.
using System.Management.Automation.Language;
using System.Text.RegularExpressions;

namespace Farshore.PowerShellHost;

internal static partial class LaterSyntax
{
    private static readonly HashSet<string> variables = new(["IsWindows", "IsLinux", "IsMacOS", "IsCoreCLR", "PSStyle", "EnabledExperimentalFeatures"], StringComparer.OrdinalIgnoreCase);

    /// <summary>Looked for in the tree, which holds the expressions inside of texts too.</summary>
    public static IEnumerable<IScriptExtent> Find(Ast ast, Token[] tokens)
    {
        var leading = tokens.Zip(tokens.Skip(1)).Where(pair => pair.First.Kind == TokenKind.NewLine && pair.Second.Kind == TokenKind.Pipe);
        return ast.FindAll(IsLater, true).Select(part => part.Extent).Concat(leading.Select(pair => pair.Second.Extent));
    }

    private static bool IsLater(Ast part) => part switch
    {
        TernaryExpressionAst or PipelineChainAst or PipelineAst { Background: true } => true,
        BinaryExpressionAst binary => binary.Operator == TokenKind.QuestionQuestion || IsReplacedByBlock(binary) || IsRangeOfLetters(binary),
        AssignmentStatementAst assignment => assignment.Operator == TokenKind.QuestionQuestionEquals,
        MemberExpressionAst member => member.NullConditional,
        IndexExpressionAst index => index.NullConditional,
        ScriptBlockAst block => block.CleanBlock is not null,
        VariableExpressionAst variable => variables.Contains(variable.VariablePath.UserPath),
        StringConstantExpressionAst { StringConstantType: StringConstantType.DoubleQuoted or StringConstantType.DoubleQuotedHereString } text => LaterEscape().IsMatch(text.Extent.Text),
        ExpandableStringExpressionAst text => LaterEscape().IsMatch(text.Extent.Text),
        ConstantExpressionAst number => number.Value is not string && LaterNumber().IsMatch(number.Extent.Text),
        _ => false,
    };

    private static bool IsReplacedByBlock(BinaryExpressionAst binary) =>
        binary.Operator is TokenKind.Ireplace or TokenKind.Creplace && binary.Right is ArrayLiteralAst { Elements: [_, ScriptBlockExpressionAst] };

    private static bool IsRangeOfLetters(BinaryExpressionAst binary) => binary is { Operator: TokenKind.DotDot, Left: StringConstantExpressionAst };

    [GeneratedRegex("(?<!`)(``)*`(u\\{|e)")]
    private static partial Regex LaterEscape();

    /// <summary>Binary numbers, and kinds of numbers other than long and decimal.</summary>
    [GeneratedRegex("^[+-]?0b|^[+-]?[0-9.]+(u|y|s|us|uy|ul|n)$", RegexOptions.IgnoreCase)]
    private static partial Regex LaterNumber();
}
