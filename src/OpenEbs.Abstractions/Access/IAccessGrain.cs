using OpenEbs.Volumes;

namespace OpenEbs.Access;

/// <summary>No credential of that name exists.</summary>
[GenerateSerializer, Alias("openebs.CredentialNotFound")]
public sealed class CredentialNotFoundException(string message) : Exception(message);

/// <summary>A credential of that name exists already.</summary>
[GenerateSerializer, Alias("openebs.CredentialAlreadyExists")]
public sealed class CredentialAlreadyExistsException(string message) : Exception(message);

/// <summary>Who may log in: rules of volumes, credentials, and the sessions that there are; key 0. Nothing gives a secret back.</summary>
[Alias("openebs.IAccessGrain")]
public interface IAccessGrain : IGrainWithIntegerKey
{
    /// <exception cref="VolumeNotFoundException">There is none.</exception>
    [Alias("GetAccess")]
    Task<VolumeAccessView> GetAccessAsync(string volume);

    /// <summary>Gives a volume a rule, or another one; sessions that it does not allow end, on gateways that can be reached before this returns.</summary>
    /// <exception cref="VolumeNotFoundException">There is no such volume.</exception>
    /// <exception cref="CredentialNotFoundException">The rule names a credential that there is not.</exception>
    /// <exception cref="VolumeRequestInvalidException">The rule has a problem.</exception>
    [Alias("SetAccess")]
    Task<VolumeAccessView> SetAccessAsync(string volume, AccessRule rule);

    /// <summary>Takes a volume's rule: then the default holds.</summary>
    /// <exception cref="VolumeNotFoundException">There is no such volume.</exception>
    [Alias("ClearAccess")]
    Task<VolumeAccessView> ClearAccessAsync(string volume);

    /// <summary>All credentials, without their secrets.</summary>
    [Alias("ListCredentials")]
    Task<IReadOnlyList<CredentialView>> ListCredentialsAsync();

    /// <summary>Creates a credential, or replaces one: logins use it from then on, sessions that there are go on.</summary>
    /// <exception cref="CredentialAlreadyExistsException">There is one, and it is not to be replaced.</exception>
    /// <exception cref="CredentialNotFoundException">There is none, and one is to be replaced.</exception>
    /// <exception cref="VolumeRequestInvalidException">It has a problem; the message has no secret.</exception>
    [Alias("PutCredential")]
    Task<CredentialView> PutCredentialAsync(string name, CredentialSpec spec, bool isReplacement);

    /// <exception cref="CredentialNotFoundException">There is none.</exception>
    /// <exception cref="Pools.StillNeededException">Volumes' rules name it.</exception>
    [Alias("DeleteCredential")]
    Task DeleteCredentialAsync(string name);

    /// <summary>The sessions on all gateways that answer, as they are now.</summary>
    /// <param name="volume">Of one volume; null for all.</param>
    [Alias("ListSessions")]
    Task<IReadOnlyList<SessionView>> ListSessionsAsync(string? volume);

    /// <summary>Ends a session. The initiator may log in again if the rule allows it.</summary>
    /// <returns>Whether there was one.</returns>
    [Alias("CloseSession")]
    Task<bool> CloseSessionAsync(string id);
}
