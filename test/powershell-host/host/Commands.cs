// A command as data: its name, what stands after it, the tables that are splatted as far as they can be followed, and what the static binder says.
using System.Management.Automation.Language;
using Facts = System.Collections.Generic.Dictionary<string, object?>;

namespace Farshore.PowerShellHost;

internal static class Commands
{
    public static Facts Describe(CommandAst command, ISet<string> cmdlets)
    {
        var pipeline = command.Parent as PipelineAst;
        return Inspection.At(command.Extent, new Facts
        {
            ["name"] = command.GetCommandName(),
            ["text"] = command.CommandElements[0].Extent.Text,
            ["nameTo"] = command.CommandElements[0].Extent.EndOffset,
            ["isCalled"] = command.InvocationOperator != TokenKind.Unknown,
            ["isBlock"] = command.CommandElements[0] is ScriptBlockExpressionAst,
            ["hasInput"] = pipeline is not null && pipeline.PipelineElements.IndexOf(command) > 0,
            ["function"] = Enclosing(command)?.Name,
            ["elements"] = command.CommandElements.Skip(1).Select(Element).ToList(),
            ["problems"] = Problems(command, cmdlets),
        });
    }

    /// <summary>The binder of the engine itself; it leaves splatted tables and mandatory parameters to others.</summary>
    private static List<Facts> Problems(CommandAst command, ISet<string> cmdlets)
    {
        var name = command.GetCommandName();
        if (name is null || !cmdlets.Contains(name[(name.LastIndexOf('\\') + 1)..])) return [];
        var bound = StaticParameterBinder.BindCommand(command, true);
        return [.. bound.BindingExceptions.Select(problem => new Facts { ["id"] = problem.Value.BindingException.ErrorId, ["message"] = problem.Value.BindingException.Message })];
    }

    private static Facts Element(CommandElementAst element) => element switch
    {
        CommandParameterAst parameter => Inspection.At(parameter.Extent, new Facts
        {
            ["kind"] = "parameter",
            ["name"] = parameter.ParameterName,
            ["value"] = parameter.Argument is null ? null : Value(parameter.Argument),
        }),
        VariableExpressionAst { Splatted: true } table => Inspection.At(table.Extent, new Facts { ["kind"] = "splat", ["name"] = table.VariablePath.UserPath, ["sources"] = Sources(table) }),
        _ => Inspection.At(element.Extent, new Facts { ["kind"] = "argument", ["value"] = Value(element) }),
    };

    private static Facts Value(Ast value)
    {
        var facts = value switch
        {
            ConstantExpressionAst constant => Constant(constant.Value),
            VariableExpressionAst variable when variable.VariablePath.UserPath.ToLowerInvariant() is "true" or "false" => Constant(variable.VariablePath.UserPath.Equals("true", StringComparison.OrdinalIgnoreCase)),
            UnaryExpressionAst { TokenKind: TokenKind.Minus, Child: ConstantExpressionAst { Value: int number } } => Constant(-number),
            ArrayLiteralAst list => List(list.Elements),
            ArrayExpressionAst { SubExpression.Statements: [PipelineAst { PipelineElements: [CommandExpressionAst { Expression: ArrayLiteralAst or ConstantExpressionAst } only] }] } => Value(only.Expression),
            CommandExpressionAst expression => Value(expression.Expression),
            PipelineAst { PipelineElements: [CommandExpressionAst only] } => Value(only.Expression),
            ScriptBlockExpressionAst => new Facts { ["kind"] = "block" },
            VariableExpressionAst variable when IsBlock(variable) => new Facts { ["kind"] = "block" },
            _ => new Facts { ["kind"] = "other" },
        };
        return Inspection.At(value.Extent, facts);
    }

    /// <summary>A variable that is never anything but a block that is written out.</summary>
    private static bool IsBlock(VariableExpressionAst variable)
    {
        var given = Inspection.All<AssignmentStatementAst>(Enclosing(variable) as Ast ?? Root(variable)).Where(assignment => assignment.Left is VariableExpressionAst left && left.VariablePath.UserPath.Equals(variable.VariablePath.UserPath, StringComparison.OrdinalIgnoreCase)).ToList();
        return given.Count > 0 && given.All(assignment => assignment.Right is CommandExpressionAst { Expression: ScriptBlockExpressionAst } or PipelineAst { PipelineElements: [CommandExpressionAst { Expression: ScriptBlockExpressionAst }] });
    }

    private static Facts Constant(object? value) => new() { ["kind"] = "constant", ["value"] = value is null or string or bool ? value : Convert.ToDouble(value) };

    private static Facts List(IEnumerable<ExpressionAst> items) => new() { ["kind"] = "list", ["items"] = items.Select(Value).ToList() };

    /// <summary>Whatever the function does to that variable: a literal table, a key that is set, or something that cannot be followed.</summary>
    private static List<Facts> Sources(VariableExpressionAst table)
    {
        var name = table.VariablePath.UserPath;
        var function = Enclosing(table);
        var scope = function as Ast ?? Root(table);
        var sources = Inspection.All<AssignmentStatementAst>(scope).Select(assignment => Source(assignment, name)).OfType<List<Facts>>().SelectMany(found => found).ToList();
        if (name.Equals("PSBoundParameters", StringComparison.OrdinalIgnoreCase)) sources.AddRange(Functions.Parameters(function).Select(parameter => new Facts { ["kind"] = "key", ["name"] = parameter }));
        else if (sources.Count == 0) sources.Add(new Facts { ["kind"] = "unknown" });
        return sources;
    }

    private static List<Facts>? Source(AssignmentStatementAst assignment, string name)
    {
        bool IsIt(Ast part) => part is VariableExpressionAst variable && variable.VariablePath.UserPath.Equals(name, StringComparison.OrdinalIgnoreCase);
        switch (assignment.Left)
        {
            case IndexExpressionAst index when IsIt(index.Target): return [Key(index.Index, assignment.Right, "key")];
            case MemberExpressionAst member when IsIt(member.Expression): return [Key(member.Member, assignment.Right, "key")];
        }
        var left = assignment.Left is ConvertExpressionAst convert ? convert.Child : assignment.Left;
        if (!IsIt(left)) return null;
        if (Literal(assignment.Right) is not { } literal) return [new Facts { ["kind"] = "unknown" }];
        var isSure = assignment.Operator == TokenKind.Equals && !IsConditional(assignment);
        return [.. literal.KeyValuePairs.Select(pair => Key(pair.Item1, pair.Item2, isSure ? "sure" : "key"))];
    }

    private static Facts Key(Ast name, Ast value, string kind)
    {
        var text = (name as StringConstantExpressionAst)?.Value;
        return Inspection.At(name.Extent, new Facts { ["kind"] = text is null ? "unknown" : kind, ["name"] = text, ["value"] = Value(value) });
    }

    private static HashtableAst? Literal(StatementAst right) => right is CommandExpressionAst { Expression: var direct } ? Table(direct)
        : right is PipelineAst { PipelineElements: [CommandExpressionAst { Expression: var piped }] } ? Table(piped) : null;

    private static HashtableAst? Table(ExpressionAst expression) => expression is ConvertExpressionAst convert ? Table(convert.Child) : expression as HashtableAst;

    private static bool IsConditional(Ast part)
    {
        for (var at = part.Parent; at is not null and not FunctionDefinitionAst; at = at.Parent)
        {
            if (at is IfStatementAst or LoopStatementAst or SwitchStatementAst or TryStatementAst or CatchClauseAst) return true;
        }
        return false;
    }

    private static FunctionDefinitionAst? Enclosing(Ast part)
    {
        var at = part.Parent;
        while (at is not null and not FunctionDefinitionAst) at = at.Parent;
        return at as FunctionDefinitionAst;
    }

    private static Ast Root(Ast part) => part.Parent is null ? part : Root(part.Parent);
}
