package batcher

import (
	"cmp"
	"math"
	"slices"
)

const (
	// horizonPatience is how far ahead batches are planned one by one, in times that a request is ready to wait. What lies
	// further ahead is too uncertain for it.
	horizonPatience = 0.25
	// maxClasses is for how many shape classes what was learned is kept.
	maxClasses = 64
	// probeAfter is how many requests are shed in a row before one is run all the same: what was learned may be
	// wrong by now.
	probeAfter = 32
	// softWaits is after how many of the longest batches an answer is late even without a deadline that says so.
	softWaits = 10
	// turnPatience is how long a batch waits for others to be done with the device, in times that it takes itself: beside
	// each other both would take about that much longer.
	turnPatience = 2
)

// adaptive learns how long batches of each size take and how often requests come, plans the batches of the near future
// after each event, and takes the plan's next step: to run a batch, or to wait.
type adaptive struct {
	limits  Limits
	grid    grid
	classes map[string]*stream
	queued  map[uint64]*stream
	flights map[uint64]struct{}
	batches uint64
	planner planner
}

// stream is the queue of one shape class, and what was learned of it.
type stream struct {
	shape    string
	queue    []Request
	latency  *latency
	forecast forecast
	// hopeless counts the requests that were shed since the last batch.
	hopeless int
	// used is when the last request came.
	used int64
}

func newAdaptive(limits Limits) *adaptive {
	return &adaptive{
		limits: limits, grid: newGrid(limits.MaxSize), classes: make(map[string]*stream),
		queued: make(map[uint64]*stream), flights: make(map[uint64]struct{}),
	}
}

func (a *adaptive) Arrive(r Request) {
	s := a.classes[r.ShapeClass]
	if s == nil {
		a.forget()
		s = &stream{shape: r.ShapeClass, latency: newLatency(&a.grid)}
		a.classes[r.ShapeClass] = s
	}
	at, _ := slices.BinarySearchFunc(s.queue, r, order)
	s.queue = slices.Insert(s.queue, at, r)
	s.used = r.Arrival
	s.forecast.arrive(r.Arrival, s.due(r, r.Arrival)-r.Arrival, r.Size)
	a.queued[r.ID] = s
}

// forget makes room for one more class: clients choose shapes. The one that was used least lately goes, if it is idle.
func (a *adaptive) forget() {
	if len(a.classes) < maxClasses {
		return
	}
	var oldest *stream
	for _, s := range a.classes {
		if len(s.queue) == 0 && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	if oldest != nil {
		delete(a.classes, oldest.shape)
	}
}

func (a *adaptive) Cancel(id uint64) {
	if s := a.queued[id]; s != nil {
		delete(a.queued, id)
		s.queue = slices.DeleteFunc(s.queue, func(r Request) bool { return r.ID == id })
	}
}

func (a *adaptive) Complete(c Completion) {
	delete(a.flights, c.Batch)
	if s := a.classes[c.ShapeClass]; s != nil && !c.Failed && c.Duration > 0 {
		s.latency.learn(c.Size, c.Duration)
	}
}

func (a *adaptive) Decide(now int64, free int, shared Share) Decision {
	decision := Decision{WakeAt: Never}
	for _, s := range a.classes {
		decision.Shed = a.shed(decision.Shed, s, now)
	}
	slices.SortFunc(decision.Shed, func(a, b Shed) int { return cmp.Compare(a.ID, b.ID) })
	for free > 0 {
		var chosen *stream
		var from, to int
		for _, s := range a.classes {
			if len(s.queue) == 0 {
				continue
			}
			decision.Patience = s.patience(decision.Patience)
			f, t, wakeAt := a.next(s, now, free+len(a.flights), shared)
			if wakeAt > now {
				decision.Yields = decision.Yields || wakeAt == shared.Until
				decision.WakeAt = min(decision.WakeAt, wakeAt)
				continue
			}
			if chosen == nil || order(s.queue[f], chosen.queue[from]) < 0 {
				chosen, from, to = s, f, t
			}
		}
		if chosen == nil {
			break
		}
		decision.Batches = append(decision.Batches, a.take(chosen, from, to))
		free--
		decision.WakeAt = Never
	}
	for _, s := range a.classes {
		for _, r := range s.queue {
			decision.WakeAt = min(decision.WakeAt, s.shedAt(r))
		}
	}
	if decision.WakeAt <= now {
		decision.WakeAt = now + 1
	}
	return decision
}

// next says which requests of the queue to run now, or until when to wait.
func (a *adaptive) next(s *stream, now int64, slots int, shared Share) (from, to int, wakeAt int64) {
	if !s.latency.known() {
		if shared.Until > now && float64(shared.Until-now) <= s.forecast.patience/turnPart {
			return 0, 0, shared.Until
		}
		return 0, 1, now
	}
	interval := s.forecast.interval(now)
	real := a.fill(s, now, interval)
	latest := Never
	if a.limits.MaxWait > 0 {
		for _, r := range s.queue {
			latest = min(latest, r.Arrival+a.limits.MaxWait)
		}
	}
	horizon := now + int64(horizonPatience*s.forecast.patience)
	w := prospect{
		now: now, horizon: horizon, patience: s.forecast.patience, table: s.latency, maxSize: a.limits.MaxSize, slots: slots,
		turn: shared.Turn, gap: shared.Gap, impatient: latest <= now || s.hopeless >= probeAfter,
	}
	if interval > 0 {
		w.arrivals, w.doubt = 1/interval, s.forecast.doubt()
	}
	first, ok := a.planner.best(w)
	if ok && first.start <= now && first.to <= real && shared.Until > now {
		expected := s.latency.expected[a.grid.point[min(first.rows, a.limits.MaxSize)]]
		if shared.Until-now <= max(turnPatience*expected, int64(s.forecast.patience)/turnPart) {
			return 0, 0, shared.Until
		}
	}
	switch {
	case (!ok || first.from >= real) && s.hopeless >= probeAfter:
		return 0, 1, now
	case !ok:
		return 0, 0, Never
	}
	if first.start <= now && first.to <= real {
		return a.planner.end(first.from), a.planner.end(first.to), now
	}
	return 0, 0, max(min(first.start, latest), now+1)
}

// patience is the smaller of another and the stream's, where one is known.
func (s *stream) patience(other int64) int64 {
	own := int64(s.forecast.patience)
	if other == 0 || own > 0 && own < other {
		return own
	}
	return other
}

// fill makes the planner's items: what is queued, then what is expected. Where that is too much, an item stands for a
// group of requests: of those that the next batch may be made of, for so few that they leave little of its largest size
// unused. What does not fit is not looked at. It returns how many items are of the queue.
func (a *adaptive) fill(s *stream, now int64, interval float64) (real int) {
	p := &a.planner
	p.count = 0
	p.begin = a.feasible(s, now)
	largest := a.grid.sizes[s.latency.usable]
	perBatch := float64(largest) / max(s.forecast.rows, 1)
	group := max(1, int(perBatch/largestItems))
	for i := p.begin; i < len(s.queue) && p.count < maxQueued; {
		if p.count == maxFine {
			group = max(group, (len(s.queue)-i+maxQueued-maxFine-1)/(maxQueued-maxFine))
		}
		one := item{at: now, due: Never}
		first := i
		for ; i < len(s.queue) && i < first+group; i++ {
			r := s.queue[i]
			if i > first && int(one.rows)+r.Size > largest {
				break
			}
			one.due = min(one.due, s.due(r, now))
			one.rows += int32(min(r.Size, math.MaxInt32/maxItems))
			one.requests++
			one.value += weight(r)
		}
		one.end = i
		p.items[p.count] = one
		p.count++
	}
	real = p.count
	if interval <= 0 {
		return real
	}
	expected := int(min(horizonPatience*s.forecast.patience/interval, float64(maxItems*largest)))
	together := min(expected/(maxItems-p.count)+1, max(1, int(perBatch)))
	for i := together; i <= expected && p.count < maxItems; i += together {
		at := now + int64(float64(i)*interval)
		first := now + int64(float64(i-together+1)*interval)
		p.items[p.count] = item{
			at: at, due: first + int64(s.forecast.patience),
			rows: max(1, int32(float64(together)*s.forecast.rows)), requests: int32(together), value: float32(together),
		}
		p.count++
	}
	return real
}

// feasible is where in the queue the first request stands that would be on time if it ran now. Those before it would take
// room in the plan from those that need it.
func (a *adaptive) feasible(s *stream, now int64) int {
	return max(0, slices.IndexFunc(s.queue, func(r Request) bool {
		fastest := s.latency.fastest[a.grid.point[min(r.Size, a.limits.MaxSize)]]
		return fastest != Never && s.due(r, now) >= now+fastest
	}))
}

// weight is what an answer to r is worth: four times as much with each step of priority.
func weight(r Request) float32 {
	steps := DefaultPriority - int(min(rank(r), 2*DefaultPriority))
	return float32(math.Exp2(float64(2 * steps)))
}

// due is when an answer to r is late as far as plans go.
func (s *stream) due(r Request, now int64) int64 {
	if !s.latency.known() {
		return r.Deadline
	}
	longest := s.latency.bound[s.latency.usable]
	return min(r.Deadline, max(r.Arrival+softWaits*longest, now+softWaits/3*longest))
}

// shedAt is when r can no longer be on time.
func (s *stream) shedAt(r Request) int64 {
	if !s.latency.known() || r.Deadline == Never || s.hopeless >= probeAfter {
		return r.Deadline
	}
	point := s.latency.grid.point[min(r.Size, len(s.latency.grid.point)-1)]
	if s.latency.points[point].count < 3 {
		return r.Deadline
	}
	return r.Deadline - int64(float64(s.latency.fastest[point])*s.latency.spread.quantile(0.1)) + 1
}

func (a *adaptive) shed(shed []Shed, s *stream, now int64) []Shed {
	s.queue = slices.DeleteFunc(s.queue, func(r Request) bool {
		if s.shedAt(r) > now {
			return false
		}
		delete(a.queued, r.ID)
		reason := ReasonLate
		if r.Deadline <= now {
			reason = ReasonExpired
		}
		s.hopeless++
		shed = append(shed, Shed{ID: r.ID, Reason: reason})
		return true
	})
	return shed
}

func (a *adaptive) take(s *stream, from, to int) Batch {
	a.batches++
	b := Batch{ID: a.batches, ShapeClass: s.shape, Requests: make([]uint64, 0, to-from), Cause: CauseBest}
	for _, r := range s.queue[from:to] {
		b.Requests = append(b.Requests, r.ID)
		b.Size += r.Size
		delete(a.queued, r.ID)
	}
	if s.latency.known() {
		if expected := s.latency.expected[a.grid.point[min(b.Size, a.limits.MaxSize)]]; expected != Never {
			b.Expected = expected
		}
	}
	s.queue = slices.Delete(s.queue, from, to)
	s.hopeless = 0
	a.flights[b.ID] = struct{}{}
	return b
}
