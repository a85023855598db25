using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Mvc;
using OpenEbs.Access;
using OpenEbs.Nodes;
using OpenEbs.Pools;
using OpenEbs.Volumes;

namespace OpenEbs.Server.Rest;

/// <summary>Turns failures into problem+json (RFC 9457): what was wrong, with which value, and what to do.</summary>
internal sealed partial class RestProblems(IProblemDetailsService problems, ILogger<RestProblems> logger) : IExceptionHandler
{
    /// <summary>Member of a problem that lists each problem of the request.</summary>
    public const string Errors = "errors";

    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        var (status, title) = exception switch
        {
            BadHttpRequestException bad => (bad.StatusCode, "The request cannot be read"),
            VolumeNotFoundException => (StatusCodes.Status404NotFound, "There is no such volume"),
            NodeNotFoundException => (StatusCodes.Status404NotFound, "There is no such node"),
            PoolNotFoundException => (StatusCodes.Status404NotFound, "There is no such pool"),
            StillNeededException => (StatusCodes.Status409Conflict, "It is still needed"),
            CredentialNotFoundException => (StatusCodes.Status404NotFound, "There is no such credential"),
            CredentialAlreadyExistsException => (StatusCodes.Status409Conflict, "The credential exists already"),
            VolumeAlreadyExistsException => (StatusCodes.Status409Conflict, "The volume exists with another spec"),
            VolumeRequestInvalidException => (StatusCodes.Status400BadRequest, "The request cannot be carried out as asked"),
            VolumeUnavailableException => (StatusCodes.Status503ServiceUnavailable, "The cluster cannot carry that out now"),
            TimeoutException or OrleansException => (StatusCodes.Status503ServiceUnavailable, "The cluster did not answer"),
            _ => (StatusCodes.Status500InternalServerError, "Something unforeseen happened"),
        };
        if (status == StatusCodes.Status500InternalServerError) LogUnforeseen(context.Request.Method, context.Request.Path, exception);
        if (status == StatusCodes.Status503ServiceUnavailable) context.Response.Headers.RetryAfter = "1";
        context.Response.StatusCode = status;
        var detail = status == StatusCodes.Status500InternalServerError ? "The server's log says more." : Explain(exception);
        return await problems.TryWriteAsync(new ProblemDetailsContext
        {
            HttpContext = context,
            ProblemDetails = new ProblemDetails { Status = status, Title = title, Detail = detail },
        });
    }

    public static IResult Invalid(IReadOnlyList<string> errors) => Results.Problem(
        statusCode: StatusCodes.Status400BadRequest,
        title: "The request cannot be carried out as asked",
        detail: string.Join("; ", errors),
        extensions: new Dictionary<string, object?> { [Errors] = errors });

    public static IResult NotFound(string name) => Results.Problem(
        statusCode: StatusCodes.Status404NotFound, title: "There is no such volume", detail: $"There is no volume '{name}'. GET /api/v1/volumes lists those that exist.");

    public static IResult NoNode(string name) => Results.Problem(
        statusCode: StatusCodes.Status404NotFound, title: "There is no such node", detail: $"There is no node '{name}'. GET /api/v1/nodes lists those that there are.");

    public static IResult NoPool(string id) => Results.Problem(
        statusCode: StatusCodes.Status404NotFound, title: "There is no such pool", detail: $"There is no pool '{id}'. GET /api/v1/pools lists those that there are.");

    private static string Explain(Exception exception) => exception switch
    {
        BadHttpRequestException { InnerException: { } inner } bad => $"{bad.Message} {inner.Message}",
        OrleansException or TimeoutException => $"{exception.Message} Try again in a moment.",
        _ => exception.Message,
    };

    [LoggerMessage(5000, LogLevel.Error, "{Method} {Path} failed")]
    private partial void LogUnforeseen(string method, string path, Exception exception);
}
