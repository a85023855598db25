using OpenEbs.Iscsi.Login;

namespace OpenEbs.Iscsi.Tests.Login;

/// <summary>One case or more for each row of the key table: what we answer to an offer, and what is settled.</summary>
public class NegotiationKeyTests
{
    [Theory]
    [InlineData("AuthMethod", "CHAP", "Reject")]
    [InlineData("HeaderDigest", "CRC32C,None", "CRC32C")]
    [InlineData("HeaderDigest", "None,CRC32C", "None")]
    [InlineData("HeaderDigest", "MD5,CRC32C", "CRC32C")]
    [InlineData("HeaderDigest", "MD5", "Reject")]
    [InlineData("HeaderDigest", "crc32c", "Reject")]
    [InlineData("DataDigest", "CRC32C", "CRC32C")]
    [InlineData("DataDigest", "", "Reject")]
    [InlineData("MaxConnections", "8", "1")]
    [InlineData("MaxConnections", "0", "Reject")]
    [InlineData("MaxConnections", "65536", "Reject")]
    [InlineData("InitialR2T", "Yes", "Yes")]
    [InlineData("InitialR2T", "No", "No")]
    [InlineData("InitialR2T", "yes", "Reject")]
    [InlineData("ImmediateData", "Yes", "Yes")]
    [InlineData("ImmediateData", "No", "No")]
    [InlineData("ImmediateData", "Maybe", "Reject")]
    [InlineData("MaxBurstLength", "512", "512")]
    [InlineData("MaxBurstLength", "16777215", "1048576")]
    [InlineData("MaxBurstLength", "511", "Reject")]
    [InlineData("MaxBurstLength", "16777216", "Reject")]
    [InlineData("MaxBurstLength", "0x40000", "262144")]
    [InlineData("FirstBurstLength", "65536", "65536")]
    [InlineData("FirstBurstLength", "16777215", "262144")]
    [InlineData("FirstBurstLength", "-1", "Reject")]
    [InlineData("DefaultTime2Wait", "5", "5")]
    [InlineData("DefaultTime2Wait", "3601", "Reject")]
    [InlineData("DefaultTime2Retain", "20", "0")]
    [InlineData("DefaultTime2Retain", "3601", "Reject")]
    [InlineData("MaxOutstandingR2T", "1", "1")]
    [InlineData("MaxOutstandingR2T", "100", "8")]
    [InlineData("MaxOutstandingR2T", "0", "Reject")]
    [InlineData("DataPDUInOrder", "Yes", "Yes")]
    [InlineData("DataPDUInOrder", "No", "Yes")]
    [InlineData("DataSequenceInOrder", "No", "Yes")]
    [InlineData("DataSequenceInOrder", "1", "Reject")]
    [InlineData("ErrorRecoveryLevel", "2", "0")]
    [InlineData("ErrorRecoveryLevel", "3", "Reject")]
    [InlineData("TaskReporting", "FastAbort,ResponseFence,RFC3720", "RFC3720")]
    [InlineData("TaskReporting", "FastAbort", "Reject")]
    [InlineData("iSCSIProtocolLevel", "2", "1")]
    [InlineData("iSCSIProtocolLevel", "0", "0")]
    [InlineData("iSCSIProtocolLevel", "32", "Reject")]
    [InlineData("IFMarker", "Yes", "No")]
    [InlineData("OFMarker", "No", "No")]
    [InlineData("IFMarkInt", "1~65535", "Reject")]
    [InlineData("OFMarkInt", "2048", "Reject")]
    [InlineData("SessionType", "Normal", null)]
    [InlineData("SessionType", "Weird", "Reject")]
    [InlineData("InitiatorName", "iqn.1993-08.org.debian:01:abc", null)]
    [InlineData("InitiatorName", "eui.02004567A425678D", null)]
    [InlineData("InitiatorName", "naa.52004567BA64678D", null)]
    [InlineData("InitiatorName", "somebody", "Reject")]
    [InlineData("InitiatorName", "iqn.with space", "Reject")]
    [InlineData("InitiatorAlias", "My Host", null)]
    [InlineData("TargetName", "iqn.2016-09.com.openebs.orleans:demo", null)]
    [InlineData("TargetName", "iqn.under_score", "Reject")]
    [InlineData("TargetAlias", "x", "Reject")]
    [InlineData("TargetAddress", "127.0.0.1:3260,1", "Reject")]
    [InlineData("TargetPortalGroupTag", "1", "Reject")]
    [InlineData("MaxRecvDataSegmentLength", "512", null)]
    [InlineData("MaxRecvDataSegmentLength", "511", "Reject")]
    [InlineData("MaxRecvDataSegmentLength", "16777216", "Reject")]
    [InlineData("SendTargets", "All", null)]
    [InlineData("X#NodeArchitecture", "Linux", null)]
    public void Answer_Offer_GivesOurValue(string key, string offer, string? answer)
    {
        Assert.Equal(answer, NegotiationKeys.Find(key)!.Answer(offer, new OperationalParameters()));
    }

    [Fact]
    public void Table_CoversEveryKeyOfTheRfc()
    {
        string[] keys =
        [
            "AuthMethod", "HeaderDigest", "DataDigest", "MaxConnections", "SendTargets", "TargetName", "InitiatorName", "TargetAlias", "InitiatorAlias",
            "TargetAddress", "TargetPortalGroupTag", "InitialR2T", "ImmediateData", "MaxRecvDataSegmentLength", "MaxBurstLength", "FirstBurstLength",
            "DefaultTime2Wait", "DefaultTime2Retain", "MaxOutstandingR2T", "DataPDUInOrder", "DataSequenceInOrder", "ErrorRecoveryLevel", "SessionType",
            "TaskReporting", "iSCSIProtocolLevel", "X#NodeArchitecture", "IFMarker", "OFMarker", "IFMarkInt", "OFMarkInt",
        ];
        Assert.Equal(keys.Order(StringComparer.Ordinal), NegotiationKeys.All.Select(key => key.Name).Order(StringComparer.Ordinal));
        Assert.Null(NegotiationKeys.Find("headerdigest"));
        Assert.All(NegotiationKeys.All, key => Assert.True(key.Use != KeyUse.None));
    }

    [Fact]
    public void Names_AreComparedInLowerCase()
    {
        Assert.True(IscsiName.TryParse("IQN.2016-09.COM.Openebs:Demo", out var name));
        Assert.Equal("iqn.2016-09.com.openebs:demo", name.ToString());
        Assert.False(IscsiName.TryParse("iqn." + new string('a', 220), out _));
    }
}
