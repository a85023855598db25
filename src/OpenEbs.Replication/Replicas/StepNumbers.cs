namespace OpenEbs.Replication.Replicas;

/// <summary>What a step is by its number.</summary>
internal enum StepJudgement
{
    /// <summary>To be carried out.</summary>
    Next,

    /// <summary>Carried out already.</summary>
    Repeated,

    /// <summary>A later one came before it: it must not be carried out any more.</summary>
    Late,
}

/// <summary>The numbers of rebuild steps, copies, repairs and openings that a replica has carried out (<see cref="RebuildRequest.Number"/>). They count anew with each epoch.</summary>
internal sealed class StepNumbers
{
    private long _epoch;

    public long Last { get; private set; }

    public StepJudgement Judge(long epoch, long number) =>
        epoch != _epoch || number > Last ? StepJudgement.Next : number == Last ? StepJudgement.Repeated : StepJudgement.Late;

    /// <summary>A step was carried out; 0 for none.</summary>
    public void Raise(long epoch, long number)
    {
        if (number > 0) (_epoch, Last) = (epoch, epoch == _epoch ? Math.Max(Last, number) : number);
    }
}
