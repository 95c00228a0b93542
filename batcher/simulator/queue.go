package simulator

import (
	"cmp"
	"slices"

	"sluice/batcher"
)

// rule decides for a free device what to do with the requests in a queue, of which there is at least one.
type rule interface {
	// next returns how many requests at the queue's head to drop, how many after them to run now (0 for none), and
	// when to ask again if none is run.
	next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64)
	// ran tells of a batch that has ended.
	ran(now int64, size int, duration int64)
}

// rival makes a batcher.Policy of a rule: it keeps the queue in order of deadline.
type rival struct {
	rule    rule
	queue   []batcher.Request
	batches uint64
	now     int64
}

func (r *rival) Arrive(request batcher.Request) {
	at, _ := slices.BinarySearchFunc(r.queue, request, func(a, b batcher.Request) int {
		return cmp.Or(cmp.Compare(a.Deadline, b.Deadline), cmp.Compare(a.ID, b.ID))
	})
	r.queue = slices.Insert(r.queue, at, request)
}

func (r *rival) Cancel(id uint64) {
	r.queue = slices.DeleteFunc(r.queue, func(q batcher.Request) bool { return q.ID == id })
}

func (r *rival) Complete(c batcher.Completion) { r.rule.ran(r.now, c.Size, c.Duration) }

func (r *rival) Decide(now int64, free int, _ batcher.Share) (d batcher.Decision) {
	r.now, d.WakeAt = now, batcher.Never
	for ; free > 0 && len(r.queue) > 0; free-- {
		drop, size, wakeAt := r.rule.next(now, r.queue)
		for _, q := range r.queue[:drop] {
			d.Shed = append(d.Shed, batcher.Shed{ID: q.ID, Reason: batcher.ReasonExpired})
		}
		r.queue = slices.Delete(r.queue, 0, drop)
		if size == 0 {
			if len(r.queue) > 0 {
				d.WakeAt = max(wakeAt, now+1)
			}
			return d
		}
		ids := make([]uint64, size)
		for i, q := range r.queue[:size] {
			ids[i] = q.ID
		}
		r.queue = slices.Delete(r.queue, 0, size)
		r.batches++
		d.Batches = append(d.Batches, batcher.Batch{ID: r.batches, Requests: ids, Size: size})
	}
	return d
}

// unlearned is part of a rule that learns nothing.
type unlearned struct{}

func (unlearned) ran(int64, int, int64) {}

// expired counts the requests at the head whose deadline is before at.
func expired(queue []batcher.Request, at int64) int {
	n := 0
	for n < len(queue) && queue[n].Deadline < at {
		n++
	}
	return n
}
