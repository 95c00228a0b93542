package simulator

import (
	"cmp"
	"math"
	"slices"
)

// Optimum is the most requests that one device can answer on time when all arrivals are known beforehand. It is exact
// where arrivals sorted by time are sorted by deadline too, as with equal SLOs; else it is an upper bound.
//
// least[j][k] is the earliest time at which the device is free after the first j requests, of which k are dropped.
// Some best schedule has batches of neighbours: to exchange members for later ones loosens the first deadline.
func Optimum(curve Curve, arrivals []Arrival) int {
	n := len(arrivals)
	sorted := slices.Clone(arrivals)
	slices.SortFunc(sorted, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	for i := 1; i < n; i++ {
		sorted[i].Deadline = max(sorted[i].Deadline, sorted[i-1].Deadline)
	}
	ring := make([]frontier, curve.MaxSize+1)
	ring[0] = frontier{times: []int64{math.MinInt64}}
	for j := 1; j <= n; j++ {
		next := int64(math.MaxInt64)
		if j < n {
			next = sorted[j].At
		}
		at := &ring[j%len(ring)]
		at.extend(curve, ring, sorted, j, next)
	}
	return n - ring[n%len(ring)].fewest
}

// frontier holds least[j][fewest+i] as times[i], falling. It ends with the first time at which no request after j is
// there yet: to drop more gains nothing.
type frontier struct {
	fewest int
	times  []int64
}

func (f *frontier) at(dropped int) int64 {
	if dropped < f.fewest {
		return math.MaxInt64
	}
	return f.times[min(dropped-f.fewest, len(f.times)-1)]
}

// extend computes the frontier of j from those before it in the ring.
func (f *frontier) extend(curve Curve, ring []frontier, sorted []Arrival, j int, next int64) {
	before := &ring[(j-1)%len(ring)]
	from := before.fewest + 1
	for b := 1; b <= min(j, curve.MaxSize); b++ {
		from = min(from, ring[(j-b)%len(ring)].fewest)
	}
	f.times = f.times[:0]
	best := int64(math.MaxInt64)
	for dropped := from; best > next || best == math.MaxInt64; dropped++ {
		best = min(best, before.at(dropped-1))
		for b := 1; b <= min(j, curve.MaxSize); b++ {
			free := ring[(j-b)%len(ring)].at(dropped)
			if free == math.MaxInt64 {
				continue
			}
			end := max(free, sorted[j-1].At) + curve.Duration(b)
			if end <= sorted[j-b].Deadline {
				best = min(best, end)
			}
		}
		if best == math.MaxInt64 {
			continue
		}
		if len(f.times) == 0 {
			f.fewest = dropped
		}
		f.times = append(f.times, best)
	}
}
