namespace OpenEbs.Volumes;

/// <summary>No volume of that name exists.</summary>
[GenerateSerializer, Alias("openebs.VolumeNotFound")]
public sealed class VolumeNotFoundException(string message) : Exception(message);

/// <summary>A volume of that name exists with another spec.</summary>
[GenerateSerializer, Alias("openebs.VolumeAlreadyExists")]
public sealed class VolumeAlreadyExistsException(string message) : Exception(message);

/// <summary>The request cannot be carried out as asked: the message names the value and the cure.</summary>
[GenerateSerializer, Alias("openebs.VolumeRequestInvalid")]
public sealed class VolumeRequestInvalidException(string message) : Exception(message);

/// <summary>The request is good but the cluster cannot carry it out now (too few pools online, say).</summary>
[GenerateSerializer, Alias("openebs.VolumeUnavailable")]
public sealed class VolumeUnavailableException(string message) : Exception(message);
