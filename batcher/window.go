package batcher

import (
	"cmp"
	"slices"
)

// window releases a class's Batch when it is full or when one of the class has waited for maxWait. Within a class,
// and among classes that are ready, the earliest deadline goes first. It learns nothing.
type window struct {
	maxSize int
	maxWait int64
	classes map[string]*class
	queued  map[uint64]*class
	batches uint64
}

func newWindow(limits Limits) *window {
	return &window{
		maxSize: limits.MaxSize,
		maxWait: limits.MaxWait,
		classes: make(map[string]*class),
		queued:  make(map[uint64]*class),
	}
}

func (w *window) Arrive(r Request) {
	c := w.classes[r.ShapeClass]
	if c == nil {
		c = &class{shape: r.ShapeClass, due: Never, expiry: Never}
		w.classes[r.ShapeClass] = c
	}
	c.add(r, w.maxWait)
	w.queued[r.ID] = c
}

func (w *window) Cancel(id uint64) {
	c := w.queued[id]
	if c == nil {
		return
	}
	delete(w.queued, id)
	c.remove(w.maxWait, func(r Request) bool { return r.ID == id })
	w.forget(c)
}

func (w *window) Complete(Completion) {}

func (w *window) Decide(now int64, free int, _ Share) Decision {
	decision := Decision{Shed: w.expire(now), WakeAt: Never}
	for ; free > 0; free-- {
		c, cause := w.ready(now)
		if c == nil {
			break
		}
		decision.Batches = append(decision.Batches, w.take(c, cause))
	}
	for _, c := range w.classes {
		decision.WakeAt = min(decision.WakeAt, c.expiry)
		if free > 0 {
			decision.WakeAt = min(decision.WakeAt, c.due)
		}
	}
	return decision
}

// expire takes out the Requests whose deadline has come.
func (w *window) expire(now int64) (shed []Shed) {
	for _, c := range w.classes {
		if c.expiry > now {
			continue
		}
		c.remove(w.maxWait, func(r Request) bool {
			if r.Deadline > now {
				return false
			}
			delete(w.queued, r.ID)
			shed = append(shed, Shed{ID: r.ID, Reason: ReasonExpired})
			return true
		})
		w.forget(c)
	}
	slices.SortFunc(shed, func(a, b Shed) int { return cmp.Compare(a.ID, b.ID) })
	return shed
}

// ready returns the class to run first among those that need not wait for more, or nil.
func (w *window) ready(now int64) (first *class, cause Cause) {
	for _, c := range w.classes {
		full := c.rows >= w.maxSize
		if !full && c.due > now {
			continue
		}
		if first != nil && order(first.queue[0], c.queue[0]) < 0 {
			continue
		}
		first, cause = c, CauseWaited
		if full {
			cause = CauseFull
		}
	}
	return first, cause
}

func (w *window) take(c *class, cause Cause) Batch {
	ids, rows := c.takePrefix(w.maxSize, w.maxWait)
	for _, id := range ids {
		delete(w.queued, id)
	}
	w.forget(c)
	w.batches++
	return Batch{ID: w.batches, ShapeClass: c.shape, Requests: ids, Size: rows, Cause: cause}
}

// forget drops an empty class: clients choose shapes, so classes must not pile up.
func (w *window) forget(c *class) {
	if len(c.queue) == 0 {
		delete(w.classes, c.shape)
	}
}
