package batcher

import (
	"cmp"
	"slices"
)

// class is the queue of one shape class, in the order in which Requests are taken.
type class struct {
	shape string
	queue []Request
	rows  int
	// due is when the first wait in the queue ends, expiry the first deadline; Never where the queue is empty.
	due, expiry int64
}

// order is negative where a is taken before b: by priority, then deadline, then arrival.
func order(a, b Request) int {
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.Deadline, b.Deadline),
		cmp.Compare(a.Arrival, b.Arrival),
		cmp.Compare(a.ID, b.ID))
}

func rank(r Request) uint32 {
	if r.Priority == 0 {
		return DefaultPriority
	}
	return r.Priority
}

// waitEnd is when r has waited for others as long as it may: a wait takes no more than half of its time.
func waitEnd(r Request, maxWait int64) int64 {
	half := max(r.Deadline-r.Arrival, 0) / 2
	return r.Arrival + min(maxWait, half, Never-r.Arrival)
}

func (c *class) add(r Request, maxWait int64) {
	at, _ := slices.BinarySearchFunc(c.queue, r, order)
	c.queue = slices.Insert(c.queue, at, r)
	c.rows += r.Size
	c.due = min(c.due, waitEnd(r, maxWait))
	c.expiry = min(c.expiry, r.Deadline)
}

// remove takes the Requests that drop selects out of the queue.
func (c *class) remove(maxWait int64, drop func(Request) bool) {
	c.queue = slices.DeleteFunc(c.queue, drop)
	c.refresh(maxWait)
}

// takePrefix takes the first Request and those after it that fit into maxSize rows.
func (c *class) takePrefix(maxSize int, maxWait int64) (ids []uint64, rows int) {
	for _, r := range c.queue {
		if len(ids) > 0 && rows+r.Size > maxSize {
			break
		}
		ids = append(ids, r.ID)
		rows += r.Size
	}
	c.queue = slices.Delete(c.queue, 0, len(ids))
	c.refresh(maxWait)
	return ids, rows
}

func (c *class) refresh(maxWait int64) {
	c.rows, c.due, c.expiry = 0, Never, Never
	for _, r := range c.queue {
		c.rows += r.Size
		c.due = min(c.due, waitEnd(r, maxWait))
		c.expiry = min(c.expiry, r.Deadline)
	}
}
