// Package intake bounds what exchanges with slow clients hold: how long a request may take to come in or an answer to go out,
// and, while the process is short of memory, that the slowest of them are given up first.
package intake

import (
	"container/list"
	"context"
	"math"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// Patience is how long a request may take to come in, and an answer to be read.
	Patience = time.Minute
	// MaxHeapBytes is the live heap from which on exchanges that have taken at least hurry are given up.
	MaxHeapBytes = 512 << 20
	// hurry is how long an exchange takes at most that no slow client is to blame for.
	hurry = time.Second
	// sweepInterval is how often the exchanges are looked at.
	sweepInterval = 100 * time.Millisecond
	// shareGivenUp is the part of the exchanges that are given up at once: what is freed shows with the next collection only.
	shareGivenUp = 4
)

// MaxHeldBytes is what Hold gives to all exchanges together.
const MaxHeldBytes = 512 << 20

// Intake holds the exchanges under way, the oldest first.
type Intake struct {
	room    *semaphore.Weighted
	waiting atomic.Int64 // for room

	mutex     sync.Mutex
	exchanges list.List // of *Exchange
}

// Exchange is a request on its way in, or an answer on its way out.
type Exchange struct {
	intake  *Intake
	stop    func()
	held    int64
	begun   time.Time
	patient bool
	listed  *list.Element
}

// New makes an Intake without exchanges.
func New() *Intake { return &Intake{room: semaphore.NewWeighted(MaxHeldBytes)} }

// Begin enters an exchange that stop breaks off; stop is called at most once, and must not block.
func (i *Intake) Begin(stop func()) *Exchange {
	return i.begin(&Exchange{intake: i, stop: stop})
}

// BeginPatient enters one that may take any time as long as there is memory: a stream that may have nothing to say.
func (i *Intake) BeginPatient(stop func()) *Exchange {
	return i.begin(&Exchange{intake: i, stop: stop, patient: true})
}

func (i *Intake) begin(e *Exchange) *Exchange {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	e.begun = time.Now()
	e.listed = i.exchanges.PushBack(e)
	return e
}

// Hold waits until there is room for so many bytes, at most MaxHeldBytes, in place of what the exchange held before. Meanwhile
// the oldest exchanges are given up. An error is that of ctx, which stop should end.
func (e *Exchange) Hold(ctx context.Context, bytes int) error {
	more := int64(bytes) - e.held
	if more <= 0 {
		return nil
	}
	if !e.intake.room.TryAcquire(more) {
		e.intake.waiting.Add(1)
		defer e.intake.waiting.Add(-1)
		if err := e.intake.room.Acquire(ctx, more); err != nil {
			return err
		}
	}
	e.held += more
	return nil
}

// End says that the exchange is over, and what it held is free. It may be called again, but not while Hold is.
func (e *Exchange) End() {
	if e.held > 0 {
		e.intake.room.Release(e.held)
		e.held = 0
	}
	e.intake.mutex.Lock()
	defer e.intake.mutex.Unlock()
	e.intake.exchanges.Remove(e.listed) // which it may not be in any more
}

// Run gives up what takes too long, until ctx ends.
func (i *Intake) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	var heap heap
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			i.giveUp(now.Add(-Patience), math.MaxInt, false)
			if heap.grewTo() > MaxHeapBytes || i.waiting.Load() > 0 {
				i.relieve(now.Add(-hurry))
			}
		}
	}
}

// relieve gives up a share of the exchanges that began before a time: streams only where nothing else did.
func (i *Intake) relieve(before time.Time) {
	i.mutex.Lock()
	most := i.exchanges.Len()/shareGivenUp + 1
	i.mutex.Unlock()
	if i.giveUp(before, most, false) == 0 {
		i.giveUp(before, most, true)
	}
}

// giveUp breaks off the oldest exchanges of one kind that began before a time, and says how many they were.
func (i *Intake) giveUp(before time.Time, most int, patient bool) int {
	stops := i.overdue(before, most, patient)
	for _, stop := range stops {
		stop()
	}
	return len(stops)
}

func (i *Intake) overdue(before time.Time, most int, patient bool) (stops []func()) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	for at := i.exchanges.Front(); at != nil && len(stops) < most; {
		e, next := at.Value.(*Exchange), at.Next()
		if !e.begun.Before(before) {
			break
		}
		if e.patient == patient {
			i.exchanges.Remove(at)
			stops = append(stops, e.stop)
		}
		at = next
	}
	return stops
}

// heap reads the size of the live heap after each collection.
type heap struct{ cycles uint64 }

// grewTo is the live heap in bytes, or 0 where no collection has ended since the last call.
func (h *heap) grewTo() uint64 {
	samples := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	cycles := samples[0].Value.Uint64()
	if cycles == h.cycles {
		return 0
	}
	h.cycles = cycles
	return samples[1].Value.Uint64()
}
