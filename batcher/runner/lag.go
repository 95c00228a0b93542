package runner

import (
	"sync"
	"time"
)

const (
	// lagMemory is over how many answers a lag is averaged.
	lagMemory = 64
	// lagDeviations is how many mean deviations over its mean a lag is taken to be.
	lagDeviations = 2
	// lagWays is how many times a lag is to be kept: for the way that it was measured on, and for that to the client.
	lagWays = 2
	// lagPartMax is the part of the time that a client waits which a lag takes at most, as its inverse.
	lagPartMax = 4
)

// lag is how long answers are on their way from where they are known to their caller's goroutine: little on an idle host,
// several milliseconds where more is to be run than there are processors. A Batch has to end earlier by it. What comes
// after, the way to the client, is not seen from here, and taken to be as long. Mean and deviation are averaged as TCP does
// its round trips (RFC 6298).
type lag struct {
	mu              sync.Mutex
	mean, deviation time.Duration
}

// note takes in how long one answer took.
func (l *lag) note(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	off := took - l.mean
	l.mean += off / lagMemory
	l.deviation += (max(off, -off) - l.deviation) / lagMemory
}

// of is how much of the time that a client waits is to be kept for the way back.
func (l *lag) of(wait time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(lagWays*(l.mean+lagDeviations*l.deviation), wait/lagPartMax)
}
