package batcher

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// simulation drives a Policy with random events on one clock and keeps its own account of them.
type simulation struct {
	t      *testing.T
	random *rand.Rand
	policy Policy
	limits Limits
	// learns is set for a policy that may shed what will be late, pass over it, and wait as long as deadlines allow.
	learns  bool
	now     int64
	slots   int
	running map[uint64]Batch
	queued  map[uint64]Request
	ended   map[uint64]string
	nextID  uint64
	wakeAt  int64
}

// TestSimulation checks over random histories: each request ends exactly once, batches hold one class in order of
// priority and deadline and stay within max_size, and with a free slot nobody waits longer than max_wait (but for what learns, which may also pass over
// requests that it cannot answer in time).
func TestSimulation(t *testing.T) {
	for _, name := range []string{"window", "none", "adaptive"} {
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { simulate(t, name, seed) })
		}
	}
}

func simulate(t *testing.T, name string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	s := &simulation{
		t: t, random: random, slots: 1 + random.IntN(3), limits: Limits{MaxSize: 1 + random.IntN(8), MaxWait: random.Int64N(50)},
		running: make(map[uint64]Batch), queued: make(map[uint64]Request), ended: make(map[uint64]string), wakeAt: Never,
	}
	policy, err := New(name, s.limits)
	if err != nil {
		t.Fatal(err)
	}
	s.policy = policy
	s.learns = name == "adaptive"
	if name == "none" {
		s.limits = Limits{MaxSize: 1}
	}
	for range 2000 {
		s.step()
	}
	s.drain()
	if got := len(s.ended); got != int(s.nextID) {
		t.Fatalf("%d of %d requests ended", got, s.nextID)
	}
}

// step lets time pass, up to a wake-up at most, and plays one event.
func (s *simulation) step() {
	s.now = max(s.now, min(s.now+s.random.Int64N(10), s.wakeAt))
	switch s.random.IntN(6) {
	case 0, 1, 2:
		s.arrive()
	case 3:
		for id := range s.queued {
			s.policy.Cancel(id)
			s.end(id, "cancelled")
			break
		}
	case 4, 5:
		s.completeOne()
	}
	s.decide()
}

func (s *simulation) arrive() {
	s.nextID++
	r := Request{
		ID: s.nextID, ShapeClass: string('a' + rune(s.random.IntN(3))), Size: 1 + s.random.IntN(s.limits.MaxSize+1),
		Arrival: s.now, Deadline: Never, Priority: uint32(s.random.IntN(3)),
	}
	if s.random.IntN(4) > 0 {
		r.Deadline = s.now + s.random.Int64N(200)
	}
	s.queued[r.ID] = r
	s.policy.Arrive(r)
}

// completeOne ends a running batch, or loses it so that its requests come again.
func (s *simulation) completeOne() {
	for id, b := range s.running {
		delete(s.running, id)
		lost := s.random.IntN(5) == 0
		s.policy.Complete(Completion{Batch: id, ShapeClass: b.ShapeClass, Size: b.Size, Duration: 1, Failed: lost})
		for _, request := range b.Requests {
			delete(s.ended, request)
			if !lost {
				s.ended[request] = "ran"
				continue
			}
			r := Request{ID: request, ShapeClass: b.ShapeClass, Size: 1, Arrival: s.now, Deadline: Never}
			s.queued[request] = r
			s.policy.Arrive(r)
		}
		return
	}
}

// share is what others do with the device, as far as anybody can tell.
func (s *simulation) share() Share {
	return Share{Until: s.now + s.random.Int64N(20) - 10, Turn: s.random.Int64N(3) * s.random.Int64N(10), Gap: s.random.Int64N(10)}
}

func (s *simulation) decide() {
	decision := s.policy.Decide(s.now, s.slots-len(s.running), s.share())
	for _, shed := range decision.Shed {
		if r := s.queued[shed.ID]; r.Deadline > s.now && shed.Reason != ReasonLate {
			s.t.Fatalf("request %d shed at %d before its deadline %d", shed.ID, s.now, r.Deadline)
		}
		s.end(shed.ID, "shed")
	}
	for _, b := range decision.Batches {
		s.checkBatch(b)
		s.running[b.ID] = b
	}
	free := s.slots - len(s.running)
	if free < 0 {
		s.t.Fatalf("%d batches run on %d slots", len(s.running), s.slots)
	}
	for _, r := range s.queued {
		if r.Deadline <= s.now {
			s.t.Fatalf("request %d stays in the queue at %d past its deadline %d", r.ID, s.now, r.Deadline)
		}
		if free > 0 && !s.learns && r.Arrival+s.limits.MaxWait <= s.now {
			s.t.Fatalf("request %d of %d waits at %d with %d slots free", r.ID, r.Arrival, s.now, free)
		}
		if decision.WakeAt > r.Deadline || free > 0 && !s.learns && decision.WakeAt > r.Arrival+s.limits.MaxWait {
			s.t.Fatalf("wake at %d is too late for %+v", decision.WakeAt, r)
		}
	}
	if decision.WakeAt <= s.now {
		s.t.Fatalf("wake at %d is not after %d", decision.WakeAt, s.now)
	}
	s.wakeAt = decision.WakeAt
}

func (s *simulation) checkBatch(b Batch) {
	rows := 0
	var last Request
	for i, id := range b.Requests {
		r, ok := s.queued[id]
		if !ok {
			s.t.Fatalf("batch %d takes request %d, which is not queued", b.ID, id)
		}
		if r.ShapeClass != b.ShapeClass {
			s.t.Fatalf("batch %d of class %s takes request %d of class %s", b.ID, b.ShapeClass, id, r.ShapeClass)
		}
		if i > 0 && (rank(last) > rank(r) || rank(last) == rank(r) && last.Deadline > r.Deadline) {
			s.t.Fatalf("batch %d takes %+v before %+v", b.ID, last, r)
		}
		last, rows = r, rows+r.Size
		s.end(id, "running")
	}
	if rows != b.Size || rows > s.limits.MaxSize && len(b.Requests) > 1 {
		s.t.Fatalf("batch %d says %d rows, has %d in %d requests of at most %d", b.ID, b.Size, rows, len(b.Requests), s.limits.MaxSize)
	}
	for _, r := range s.queued {
		if r.ShapeClass == b.ShapeClass && order(r, last) < 0 && !s.learns {
			s.t.Fatalf("batch %d passes over %+v for %+v", b.ID, r, last)
		}
	}
}

// end takes a request out of the queue's account; a second end of the same request is an error.
func (s *simulation) end(id uint64, how string) {
	if _, ok := s.queued[id]; !ok {
		s.t.Fatalf("request %d %s, but it was %s", id, how, s.ended[id])
	}
	delete(s.queued, id)
	s.ended[id] = how
}

// drain lets everything come to its end.
func (s *simulation) drain() {
	for len(s.queued)+len(s.running) > 0 {
		s.now = max(s.now, min(s.now+100, s.wakeAt))
		s.completeOne()
		s.decide()
	}
}
