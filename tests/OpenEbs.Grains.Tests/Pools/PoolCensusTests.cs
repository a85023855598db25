using System.Reflection;
using System.Runtime.CompilerServices;
using OpenEbs.Grains.Cluster;
using OpenEbs.Pools;
using Xunit;

namespace OpenEbs.Grains.Tests.Pools;

public sealed class PoolCensusTests
{
    /// <summary>What a node of an older release does not say comes as null, whatever the type promises; while nodes are upgraded one by one both are there.</summary>
    [Fact]
    public void WhatAnOlderNodeDoesNotSay_IsMadeUpFor()
    {
        var old = (PoolView)RuntimeHelpers.GetUninitializedObject(typeof(PoolView));
        foreach (var property in typeof(PoolView).GetProperties().Where(property => property.GetCustomAttribute<RequiredMemberAttribute>() is not null && property.PropertyType == typeof(string))) property.SetValue(old, "x");

        // Said from the first release on.
        typeof(PoolView).GetProperty(nameof(PoolView.Reason))!.SetValue(old, "");

        var completed = PoolCensus.Complete(old);

        var nullability = new NullabilityInfoContext();
        var missing = typeof(PoolView).GetProperties().Where(p => !p.PropertyType.IsValueType && nullability.Create(p).ReadState == NullabilityState.NotNull && p.GetValue(completed) is null).Select(p => p.Name);
        Assert.Empty(missing);
        Assert.Empty(completed.Shortage);
    }
}
