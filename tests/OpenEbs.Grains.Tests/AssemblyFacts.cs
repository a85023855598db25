using Xunit;

// Buffers are counted in one shared pool.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
