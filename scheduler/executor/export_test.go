package executor

// SweepOnce does what happens at every interval.
var SweepOnce = (*Executor).sweepOnce
