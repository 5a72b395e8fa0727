// A function as data: its parameters and its help.
using System.Management.Automation.Language;
using Facts = System.Collections.Generic.Dictionary<string, object?>;

namespace Farshore.PowerShellHost;

internal static class Functions
{
    public static Facts Describe(FunctionDefinitionAst function)
    {
        var help = function.GetHelpContent();
        return Inspection.At(function.Extent, new Facts
        {
            ["name"] = function.Name,
            ["parameters"] = All(function).Select(Parameter).ToList(),
            ["synopsis"] = help?.Synopsis,
            ["described"] = help?.Parameters.Keys.ToList() ?? [],
        });
    }

    public static IEnumerable<string> Parameters(FunctionDefinitionAst? function) => function is null ? [] : All(function).Select(parameter => parameter.Name.VariablePath.UserPath);

    private static IEnumerable<ParameterAst> All(FunctionDefinitionAst function) => function.Parameters ?? function.Body.ParamBlock?.Parameters ?? Enumerable.Empty<ParameterAst>();

    private static Facts Parameter(ParameterAst parameter)
    {
        var options = parameter.Attributes.OfType<AttributeAst>().SelectMany(attribute => attribute.NamedArguments);
        return Inspection.At(parameter.Extent, new Facts
        {
            ["name"] = parameter.Name.VariablePath.UserPath,
            ["type"] = parameter.StaticType.Name,
            ["isMandatory"] = options.Any(option => option.ArgumentName.Equals("Mandatory", StringComparison.OrdinalIgnoreCase) && (option.ExpressionOmitted || option.Argument.Extent.Text == "$true")),
            ["values"] = parameter.Attributes.OfType<AttributeAst>().FirstOrDefault(attribute => attribute.TypeName.Name == "ValidateSet")?.PositionalArguments.OfType<StringConstantExpressionAst>().Select(value => value.Value).ToList(),
        });
    }
}
