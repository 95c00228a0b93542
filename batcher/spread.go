package batcher

import "slices"

const (
	// spreadSamples is how many durations are remembered in parts of what was expected, spreadCold how few of them say
	// nothing yet.
	spreadSamples = 64
	spreadCold    = 8
	// oddsSteps is the number of steps of a table of odds.
	oddsSteps = 32
	// rareRatio is what a batch may take in a moment as bad as none that is remembered: after n of them the next is one with
	// a chance of 1/(n+1) (Laplace's rule of succession).
	rareRatio = 2
)

// spread is a sliding window of durations in parts of what was expected, kept sorted too.
type spread struct {
	recent, sorted [spreadSamples]float64
	count          int
}

func (s *spread) add(ratio float64) {
	n := min(s.count, spreadSamples)
	at := s.count % spreadSamples
	if n == spreadSamples {
		old, _ := slices.BinarySearch(s.sorted[:], s.recent[at])
		copy(s.sorted[old:], s.sorted[old+1:])
		n--
	}
	s.recent[at] = ratio
	s.count++
	to, _ := slices.BinarySearch(s.sorted[:n], ratio)
	copy(s.sorted[to+1:n+1], s.sorted[to:n])
	s.sorted[to] = ratio
}

// latest is the median of the last n ratios, of which there must be as many.
func (s *spread) latest(n int) float64 {
	last := make([]float64, 0, driftSamples)
	for i := range n {
		last = append(last, s.recent[(s.count-1-i)%spreadSamples])
	}
	slices.Sort(last)
	return last[n/2]
}

// scale multiplies the last n ratios.
func (s *spread) scale(n int, factor float64) {
	for i := range n {
		s.recent[(s.count-1-i)%spreadSamples] *= factor
	}
	kept := s.sorted[:copy(s.sorted[:min(s.count, spreadSamples)], s.recent[:])]
	slices.Sort(kept)
}

// quantile is 1 while nothing is known.
func (s *spread) quantile(part float64) float64 {
	n := min(s.count, spreadSamples)
	if n == 0 {
		return 1
	}
	return s.sorted[int(part*float64(n-1)+0.5)]
}

// deviation is the standard deviation of the ratios as by their middle two thirds, or 0 while little is known.
func (s *spread) deviation() float64 {
	if s.count < spreadCold {
		return 0
	}
	return (s.quantile(0.84) - s.quantile(0.16)) / 2
}

// odds say how likely a batch takes at most some ratio of what was expected: surely not below least, surely within tail,
// nearly so within most, and by the table in equal steps from least to most.
type odds struct {
	least, most, tail, perStep float64
	table                      [oddsSteps + 1]float32
}

// set takes the odds from those ratios that were measured.
func (o *odds) set(s *spread) {
	o.least, o.most, o.tail = 1, 1, 1
	n := min(s.count, spreadSamples)
	if n < spreadCold {
		return
	}
	o.least, o.most = s.sorted[0], s.sorted[n-1]
	o.tail = o.most
	if o.least == o.most {
		return
	}
	o.tail = max(o.most, rareRatio)
	o.perStep = (o.most - o.least) / oddsSteps
	below := 0
	for i := range o.table {
		for below < n && s.sorted[below] <= o.least+float64(i)*o.perStep {
			below++
		}
		o.table[i] = float32(below) / float32(n+1)
	}
}

// within is the chance that a batch takes at most a ratio of what was expected.
func (o *odds) within(ratio float64) float32 {
	switch {
	case ratio >= o.tail:
		return 1
	case ratio >= o.most:
		return o.table[oddsSteps]
	case ratio < o.least:
		return 0
	}
	steps := (ratio - o.least) / o.perStep
	i := min(int(steps), oddsSteps-1)
	return o.table[i] + float32(steps-float64(i))*(o.table[i+1]-o.table[i])
}
