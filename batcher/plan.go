package batcher

import "math"

const (
	// maxItems bounds what one plan looks at; where more is queued or expected, neighbours are taken together.
	maxItems = 152
	// maxQueued bounds how many of them are of the queue, maxFine how many of these are kept small: a batch of the largest
	// size is made of at least largestItems.
	maxQueued, maxFine, largestItems = 128, 96, 32
	// maxWork bounds the batches that one plan tries. Where it is used up, plans end where they are.
	maxWork = 2048
	// maxStates bounds the states that are kept after an item.
	maxStates = 8
	// waitGain is how many more requests must be on time for a plan that begins with waiting, where the device is idle
	// otherwise; the more it is needed, the fewer, down to leastWaitGain.
	waitGain, leastWaitGain = 1, 0.1
	// haste is the part of a request's value that is gone when it has waited as long as it may: of plans that answer as
	// many, the one that answers sooner leaves more room for what nobody expects.
	haste = 0.08
	// minChance is how likely the first of a batch must be on time: below, the batch does better without it.
	minChance = 0.3
	// fineTries is how many beginnings of a batch are tried one after the other; from there on, steps double.
	fineTries = 4
	// outlookDeviations is how many standard deviations are reckoned with in what comes after a plan.
	outlookDeviations = 2
)

// item is one request, or a few neighbours, in a plan.
type item struct {
	at, due        int64
	rows, requests int32
	value          float32
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

// prospect is what a plan needs beside its items.
type prospect struct {
	// Batches are planned one by one until the horizon; what comes after it is estimated.
	now, horizon int64
	// patience is how long a request can wait, in nanoseconds, arrivals how many come per nanosecond, doubt the variance of
	// that in parts of its square.
	patience, arrivals, doubt float64
	// turn is how long a batch may hold the device, gap how long others have it between two.
	turn, gap int64
	table     *latency
	maxSize   int
	slots     int
	// impatient is set where nothing is worth waiting for.
	impatient bool
}

// step is the beginning of a plan: to run the items of [from, to) at start.
type step struct {
	from, to int
	rows     int
	start    int64
	value    float32
}

// planner finds the best sequence of batches for a list of items, each batch of neighbours. Its memory is used again.
type planner struct {
	prospect
	items [maxItems]item
	count int
	begin int // how much of the queue comes before the items

	// rows, requests and values are sums over the items before each; least is the earliest deadline from each on.
	rows, requests [maxItems + 1]int32
	values         [maxItems + 1]float32
	least          [maxItems + 1]int64
	// pace is the rate of requests on time that the device can keep up, per nanosecond, in batches of paceRows and
	// paceRequests; idle is the part of the time in which it would not be needed then.
	pace, paceRequests, idle float64
	paceRows                 int
	// deviation is the standard deviation of a batch's duration in parts of it.
	deviation float64

	fronts [maxItems + 1][maxStates]state
	sizes  [maxItems + 1]int
	work   int
	first  step
	found  bool
}

// end is how much of the queue the items before to stand for.
func (p *planner) end(to int) int {
	if to == 0 {
		return p.begin
	}
	return p.items[to-1].end
}

// best returns the first step of the best plan; ok is false where no item can be on time.
func (p *planner) best(w prospect) (first step, ok bool) {
	p.prospect = w
	clear(p.sizes[:p.count+1])
	p.work, p.first, p.found = 0, step{}, false
	p.sum()
	p.setPace()
	p.extend(0, state{free: w.now, first: none})
	for i := range p.count {
		for _, s := range p.fronts[i][:p.sizes[i]] {
			p.extend(i, s)
		}
	}
	p.first.rows = int(p.rows[p.first.to] - p.rows[p.first.from])
	return p.first, p.found
}

func (p *planner) sum() {
	for i, one := range p.items[:p.count] {
		p.rows[i+1] = p.rows[i] + one.rows
		p.requests[i+1] = p.requests[i] + one.requests
		p.values[i+1] = p.values[i] + one.value
	}
	p.least[p.count] = Never
	for i := p.count - 1; i >= 0; i-- {
		p.least[i] = min(p.least[i+1], p.items[i].due)
	}
}

// setPace finds the best size of batch to run for ever. No more requests make a batch than come while its first can
// still wait.
func (p *planner) setPace() {
	p.pace, p.paceRequests, p.paceRows, p.idle = 0, 1, 1, 1
	p.deviation = p.table.spread.deviation()
	each := float64(p.rows[p.count]) / float64(max(p.requests[p.count], 1))
	for i, size := range p.table.grid.sizes {
		if float64(p.table.fastest[i]) >= p.patience {
			return
		}
		expected := p.table.expected[i]
		if float64(expected) >= p.patience || p.tooLong(expected) && i > 0 {
			continue
		}
		requests := min(float64(size)/max(each, 1), p.arrivals*(p.patience-float64(expected)))
		pace := requests / (float64(expected)/float64(p.slots) + float64(p.gap))
		if pace > p.pace {
			p.pace, p.paceRequests, p.paceRows = pace, requests, size
			p.idle = max(0, 1-p.arrivals/pace)
		}
	}
}

func (p *planner) tooLong(expected int64) bool { return p.turn > 0 && expected > p.turn }

// extend tries the batches with which s, which has dealt with the items before head, can go on. Of batches of one length
// only those are of use whose first items, but for the last one's, are at risk: where the first is not, a later batch of
// that length leaves items behind that are more urgent.
func (p *planner) extend(head int, s state) {
	extended := false
	for length := 1; head+length <= p.count && p.work < maxWork; length++ {
		fits := false
		for from, tries := head, 0; from+length <= p.count; {
			p.work++
			rows := int(p.rows[from+length] - p.rows[from])
			if rows > p.maxSize && length > 1 {
				from++
				continue
			}
			point := p.table.grid.point[min(rows, p.maxSize)]
			expected, bound := p.table.expected[point], p.table.bound[point]
			if bound == Never || p.tooLong(p.table.fastest[point]) && length > 1 {
				break
			}
			fits = true
			if p.tooLong(expected) && length > 1 {
				break
			}
			start := max(s.free, p.items[from+length-1].at)
			gain, safe := p.gain(from, from+length, start, bound)
			if gain < 0 {
				// It is too late in longer batches, too, unless these are faster.
				if from == head && p.table.odds.within(float64(p.items[from].due-start)/float64(p.table.fastest[point])) < minChance {
					head++
				}
				from++
				continue
			}
			extended = true
			p.take(s, from, from+length, start, expected, gain)
			if safe {
				break
			}
			tries++
			from += 1 << max(0, tries-fineTries)
		}
		if !fits {
			break
		}
	}
	if !extended && s.first != none {
		p.finish(head, s)
	}
}

// take goes on from s with a batch of the items of [from, to).
func (p *planner) take(s state, from, to int, start, expected int64, gain float32) {
	gain *= 1 - haste*float32(float64(start+expected-p.now)/max(p.patience, 1))
	s.value += gain
	s.free = start + expected/int64(p.slots) + p.gap
	if s.first == none {
		s.first, s.start = int32(from<<16|to), start
	}
	if s.free < p.horizon && to < p.count {
		p.add(to, s)
	} else {
		p.finish(to, s)
	}
}

// gain is what a batch of the items of [from, to) is worth, each item by the chance that it is on time, or negative where
// the first is too late. safe says that none is at risk.
func (p *planner) gain(from, to int, start, bound int64) (gain float32, safe bool) {
	gain = p.values[to] - p.values[from]
	odds := &p.table.odds
	longest := start + int64(float64(bound)*odds.tail)
	if p.least[from] >= longest {
		return gain, true
	}
	for i := from; i < to && p.least[i] < longest; i++ {
		one := &p.items[i]
		chance := odds.within(float64(one.due-start) / float64(bound))
		if i == from && chance < minChance {
			return -1, false
		}
		gain -= one.value * (1 - chance)
	}
	return gain, false
}

// finish compares a plan that is worked out up to s, with the items from i on left, with the best so far.
func (p *planner) finish(i int, s state) {
	if i == p.count { // nobody is there to use what is left until the horizon
		s.free = max(s.free, p.horizon)
	}
	value := s.value + p.outlook(i, s.free)
	if s.start > p.now {
		if p.impatient {
			return
		}
		value -= float32(max(leastWaitGain, waitGain*p.idle))
	}
	if !p.found || value > p.first.value {
		p.found = true
		p.first = step{from: int(s.first >> 16), to: int(s.first & 0xffff), start: s.start, value: value}
	}
}

// outlook estimates what is gained of the items from i on, and of the arrivals after them, where the device is free at
// free: what there is, or what the device can do at its best pace until the last of it is due, whichever is less. How
// much comes (a Poisson process of an estimated rate) and how much is done are random, so that near equality some of both
// is lost.
func (p *planner) outlook(i int, free int64) float32 {
	for ; i < p.count; i++ {
		rows := min(int(p.rows[p.count]-p.rows[i]), p.paceRows)
		if p.items[i].due >= max(free, p.items[i].at)+p.table.bound[p.table.grid.point[rows]] {
			break
		}
	}
	come := p.arrivals * p.patience
	there := float64(p.requests[p.count]-p.requests[i]) + come
	value := float64(p.values[p.count]-p.values[i]) + come
	until := float64(p.horizon-free) + p.patience
	spare := p.pace*until - there
	if there <= 0 {
		return 0
	}
	variance := 1 + there + come*come*p.doubt + there*p.paceRequests*p.deviation*p.deviation
	done := there + (spare-math.Sqrt(spare*spare+outlookDeviations*outlookDeviations*variance))/2
	return float32(done * value / there)
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
