namespace OpenEbs.Server.Health;

/// <summary><c>/healthz</c>: the process answers. <c>/readyz</c>: the node can serve; 503 and what is missing otherwise.</summary>
internal static class HealthEndpoints
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/healthz", () => Results.Text("ok\n")).ExcludeFromDescription();
        endpoints.MapGet("/readyz", (NodeReadiness readiness) =>
        {
            var conditions = readiness.Check();
            var lines = conditions.Select(condition => $"{condition.Key}: {(condition.Value.Length == 0 ? "ok" : condition.Value)}\n");
            return Results.Text(string.Concat(lines), statusCode: conditions.Values.All(missing => missing.Length == 0) ? 200 : 503);
        }).ExcludeFromDescription();
    }
}
