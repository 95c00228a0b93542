package batcher

const (
	// maxItems bounds what one plan looks at; where more is queued or expected, neighbours are taken together.
	maxItems = 88
	// maxQueued bounds how many of them are of the queue.
	maxQueued = 44
	// maxWork bounds the steps of one plan. Where it is used up, what is further ahead counts as dropped.
	maxWork = 8192
	// maxStates bounds the states that are kept after an item.
	maxStates = 16
	// waitGain is how many more requests must be on time for a plan that begins with waiting.
	waitGain = 1
	// haste is the part of a request's value that is gone at the horizon: of plans that answer as many, the one that
	// answers sooner leaves more room for what nobody expects.
	haste = 0.05
)

// item is one request, or a few neighbours, in a plan.
type item struct {
	at, due int64
	rows    int32
	value   float32
	// end is how much of the queue is dealt with after it, for an item of the queue.
	end int
}

// state is a way to deal with all items up to some point: the device is free at free, and value was gained. first is
// the batch that it began with: from<<16 | to, the items of [from, to), or none.
type state struct {
	free  int64
	value float32
	first int32
	start int64
}

const none = -1

// planner finds the best sequence of batches for a list of items, each batch of neighbours. Its memory is used again.
type planner struct {
	items  [maxItems]item
	count  int
	begin  int // how much of the queue comes before the items
	fronts [maxItems + 1][maxStates]state
	sizes  [maxItems + 1]int
	work   int
}

// end is how much of the queue the items before to stand for.
func (p *planner) end(to int) int {
	if to == 0 {
		return p.begin
	}
	return p.items[to-1].end
}

// prospect is what a plan needs beside its items.
type prospect struct {
	now, horizon int64
	// turn is how long a batch may hold the device, gap how long others have it between two.
	turn, gap int64
	table     *latency
	maxSize   int
	slots     int
	// impatient is set where nothing is worth waiting for.
	impatient bool
}

// worth is the value of a request that is answered at a time, next to one that is answered now.
func (w *prospect) worth(at int64) float32 {
	return 1 - haste*float32(at-w.now)/float32(max(w.horizon-w.now, 1))
}

// step is the beginning of a plan: to run the items of [from, to) at start.
type step struct {
	from, to int
	rows     int
	start    int64
	value    float32
}

// best returns the first step of the best plan; ok is false where no item can be on time.
func (p *planner) best(w prospect) (first step, ok bool) {
	clear(p.sizes[:p.count+1])
	p.work = 0
	p.fronts[0][0] = state{free: w.now, first: none}
	p.sizes[0] = 1
	for i := range p.count {
		p.skip(i)
		p.batches(i, &w)
	}
	found := -1
	for k, s := range p.fronts[p.count][:p.sizes[p.count]] {
		value := s.value
		if s.start > w.now && w.impatient {
			continue
		} else if s.start > w.now {
			value -= waitGain
		}
		if s.first != none && (found < 0 || value > first.value) {
			found = k
			first = step{from: int(s.first >> 16), to: int(s.first & 0xffff), start: s.start, value: value}
		}
	}
	for _, one := range p.items[first.from:first.to] {
		first.rows += int(one.rows)
	}
	return first, found >= 0
}

// skip carries the states before item i over it.
func (p *planner) skip(i int) {
	for _, s := range p.fronts[i][:p.sizes[i]] {
		p.add(i+1, s)
	}
}

// batches adds the states that follow from running the items from i on, for each size.
func (p *planner) batches(i int, w *prospect) {
	front := p.fronts[i][:p.sizes[i]]
	rows, value := 0, float32(0)
	at, due := w.now, Never
	for j := i; j < p.count && p.work < maxWork; j++ {
		one := &p.items[j]
		rows += int(one.rows)
		if rows > w.maxSize && j > i {
			return
		}
		at, due = max(at, one.at), min(due, one.due)
		value += one.value
		point := w.table.grid.point[min(rows, w.maxSize)]
		expected, bound := w.table.expected[point], w.table.bound[point]
		if bound == Never || max(at, front[0].free)+bound > due || w.turn > 0 && expected > w.turn && j > i {
			return
		}
		for k := range front {
			s := front[k]
			if k+1 < len(front) && front[k+1].free <= at {
				continue
			}
			start := max(at, s.free)
			if start+bound > due {
				break
			}
			if s.first == none {
				s.first, s.start = int32(i<<16|(j+1)), start
			}
			p.work++
			p.add(j+1, state{start + expected/int64(w.slots) + w.gap, s.value + value*w.worth(start+expected), s.first, s.start})
		}
	}
}

// add keeps a state unless another is as early and as good; the front stays sorted by time and value.
func (p *planner) add(i int, s state) {
	front := &p.fronts[i]
	n := p.sizes[i]
	at := n
	for at > 0 && front[at-1].free > s.free {
		at--
	}
	if at > 0 && front[at-1].value >= s.value {
		return
	}
	from := at
	if at > 0 && front[at-1].free == s.free {
		from--
	}
	to := at
	for to < n && front[to].value <= s.value {
		to++
	}
	// [from, to) gives way to s.
	if to == from {
		if n == maxStates {
			// The worst and earliest is the one that a good plan misses least.
			if from == 0 {
				return
			}
			copy(front[:from-1], front[1:from])
			front[from-1] = s
			return
		}
		copy(front[from+1:n+1], front[from:n])
		n++
	} else {
		copy(front[from+1:], front[to:n])
		n -= to - from - 1
	}
	front[from] = s
	p.sizes[i] = n
}
