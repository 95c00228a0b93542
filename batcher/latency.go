package batcher

import (
	"math"
	"slices"
)

const (
	// latencySamples is how many durations are remembered of one size.
	latencySamples = 48
	// exactSizes are sizes that each have a point of the table; above, there are pointsPerOctave.
	exactSizes      = 32
	pointsPerOctave = 8
	// reach is how far beyond the largest measured size a size may be tried, as a factor.
	reach = 2
	// hopeStep is how much larger than a measured size one may be that is tried as if it took no longer, as a factor.
	hopeStep = 1.25
	// bandFactor bounds which sizes are neighbours: those within a factor of it, or within bandLeast.
	bandFactor, bandLeast = 2, 2
	// bendChance is what is still put down to chance of how far a size is off its neighbours' line, in variances; with
	// fewer than bendSamples samples it is more, as these may all be of one bad moment.
	bendChance, bendSamples = 2, 4
	// fallDeviations is by how many standard deviations a size must be faster than a smaller one to be taken for that;
	// one is minDeviation at least, in parts. With fewer than fallSamples, the smaller one was slow by a bad moment.
	fallDeviations, minDeviation, fallSamples = 3, 0.01, 3
	// hopedSlope and fearedSlope are what of the slope of the measured sizes is taken beyond them.
	hopedSlope, fearedSlope = 0.7, 1.1
	// exploreAfter is after how many batches a size that was never measured may be tried as if it took no longer than
	// the next smaller one; it doubles, up to exploreRarely, each time that this was wrong.
	exploreAfter, exploreRarely = 8, 256
	// retryAfter is after how many batches of other sizes one may be tried as if it was never measured.
	retryAfter = 1024
	// staleAfter is after how many batches of other sizes what was measured of one is doubted: it may be of another time.
	staleAfter = 64
	// staleFactor is how far off the first new duration of such a size must be to replace what was measured of it, in parts
	// and in deviations.
	staleFactor, staleDeviations = 1.3, 4
	// driftSamples durations in a row whose middle is off by driftFactor, and by driftDeviations, mean that the device itself
	// has become faster or slower. By chance that is so for one in some ten thousand.
	driftSamples                 = 8
	driftFactor, driftDeviations = 1.15, 1.75
)

// grid are the sizes that have a point in the table of latencies.
type grid struct {
	sizes []int
	// point is the index in sizes of the smallest that is not below a size.
	point []uint16
}

func newGrid(maxSize int) grid {
	g := grid{point: make([]uint16, maxSize+1)}
	for size := 1; size < maxSize; {
		g.sizes = append(g.sizes, size)
		if size < exactSizes {
			size++
		} else {
			size = max(size+1, int(math.Round(float64(size)*math.Exp2(1.0/pointsPerOctave))))
		}
	}
	g.sizes = append(g.sizes, maxSize)
	for i, size := range g.sizes {
		for s := size; s >= 1 && (i == 0 || s > g.sizes[i-1]); s-- {
			g.point[s] = uint16(i)
		}
	}
	return g
}

// latency is the table of how long batches take, by size: a robust mean per size, made to rise with the size as far as
// chance may explain that it does not, and one spread around it. Nothing else is assumed of its shape.
type latency struct {
	grid   *grid
	points []point
	// expected and bound are nanoseconds by point: the middle, and what is reckoned with where an answer must be on time,
	// which is more for sizes that were not measured. largest is the point of the largest size that was measured, -1
	// while none was; beyond usable, both are out of reach. fastest is the least that is expected of a point or a later one.
	expected, bound, fastest []int64
	largest, usable          int
	spread                   spread
	odds                     odds
	blocks                   []block
	// tile is the smallest size that is faster than one below it, or 0: a device that works in tiles is fastest where a batch
	// fills them.
	tile int
	// smooth are the points' values with what their neighbours tell of them.
	smooth []float64
	// learned counts all durations, steady the ratios since the last drift.
	learned, steady int
	// slowness is what batches take now in parts of what the points say; latest are the samples that were taken last.
	slowness float64
	latest   [driftSamples]place
	// hopeful is set while the table is made for exploration; explore counts down to it, rarity is where it began.
	hopeful         bool
	explore, rarity int
}

type point struct {
	// samples are durations of a device of slowness 1, in a ring.
	samples [latencySamples]int64
	count   int
	// value is the middle of the samples, newest the number of the last one among all of the table.
	value  float64
	newest int
}

// place is where a sample is kept: it was a point's sample of that number.
type place struct{ point, number int }

// block is a run of points that share a value.
type block struct {
	value, weight float64
	end           int
}

func newLatency(g *grid) *latency {
	n := len(g.sizes)
	return &latency{
		grid: g, points: make([]point, n), largest: -1, usable: -1,
		expected: make([]int64, n), bound: make([]int64, n), fastest: make([]int64, n),
		slowness: 1, explore: exploreAfter, rarity: exploreAfter, blocks: make([]block, 0, n),
		smooth: make([]float64, n),
	}
}

// known says whether anything was measured.
func (l *latency) known() bool { return l.largest >= 0 }

// age is how many batches were learned since the last one of a point. What is old may be wrong by now, and would stay so for
// ever where it says that the size is too slow.
func (l *latency) age(p *point) int { return l.learned - p.newest }

// learn takes in how long a batch took.
func (l *latency) learn(size int, duration int64) {
	at := int(l.grid.point[min(size, len(l.grid.point)-1)])
	p := &l.points[at]
	l.count(p.count == 0 || l.age(p) > retryAfter, float64(duration) > float64(l.expected[at])*1.1)
	if l.known() && p.count >= 3 && l.expected[at] > 0 {
		l.spread.add(float64(duration) / float64(l.expected[at]))
		l.drift()
	}
	duration = max(1, int64(float64(duration)/l.slowness))
	if p.count > 0 && l.age(p) > staleAfter && off(float64(duration)/p.value, max(staleFactor, 1+staleDeviations*l.spread.deviation())) {
		p.count = 0
	}
	l.latest[l.learned%driftSamples] = place{at, p.count}
	p.samples[p.count%latencySamples] = duration
	p.count++
	l.learned++
	p.newest = l.learned
	p.value = p.middle()
	l.largest = max(l.largest, at)
	l.refresh()
}

// drift takes what is off by the same factor for a while as the device's own. All sizes take so much longer then, and the
// samples that told of it say nothing about theirs.
func (l *latency) drift() {
	if l.steady++; l.steady < driftSamples {
		return
	}
	middle := l.spread.latest(driftSamples)
	if !off(middle, max(driftFactor, 1+driftDeviations*l.spread.deviation())) {
		return
	}
	l.steady = 0
	l.slowness *= middle
	l.spread.scale(driftSamples, 1/middle)
	for _, at := range l.latest {
		p := &l.points[at.point]
		if at.number < p.count && at.number >= p.count-latencySamples {
			sample := &p.samples[at.number%latencySamples]
			*sample = max(1, int64(float64(*sample)/middle))
			p.value = p.middle()
		}
	}
}

// off says whether a ratio is further from one than a factor, either way.
func off(ratio, factor float64) bool { return ratio > factor || ratio < 1/factor }

// count counts down to the next exploration, which is for one batch: longer, plans would build on sizes that are
// hoped to be fast. It becomes rarer each time that it brings nothing.
func (l *latency) count(fresh, wrong bool) {
	if l.hopeful {
		l.hopeful = false
		if fresh && !wrong {
			l.rarity = exploreAfter
		} else {
			l.rarity = min(2*l.rarity, exploreRarely)
		}
		l.explore = l.rarity
	}
	if l.explore--; l.explore <= 0 {
		l.hopeful = true
	}
}

// middle is the mean of the middle half of the samples: nearly as robust as their median, and steadier.
func (p *point) middle() float64 {
	n := min(p.count, latencySamples)
	sorted := p.samples
	slices.Sort(sorted[:n])
	from := n / 4
	sum := int64(0)
	for _, sample := range sorted[from : n-from] {
		sum += sample
	}
	return float64(sum) / float64(n-2*from)
}

// refresh computes expected and bound: an isotonic regression of the means (pool adjacent violators) but where a size
// falls, straight lines between measured sizes and, beyond them, on with the slope of the upper half of what is measured.
func (l *latency) refresh() {
	l.odds.set(&l.spread)
	l.setSmooth()
	l.blocks, l.tile = l.blocks[:0], 0
	for i := 0; i <= l.largest; i++ {
		if p := &l.points[i]; p.count > 0 {
			l.pool(block{l.smooth[i], float64(min(p.count, latencySamples)), i})
		}
	}
	last := l.trusted()
	l.interpolate(last)
	l.extrapolate(last)
	l.doubt()
	fastest := Never
	for i := len(l.expected) - 1; i >= 0; i-- {
		fastest = min(fastest, l.expected[i])
		l.fastest[i] = fastest
	}
}

// pool adds a block after the others. Those before it that are slower share its value: their mean where that is by chance,
// its own where they had a bad moment.
func (l *latency) pool(b block) {
	for len(l.blocks) > 0 {
		n := len(l.blocks) - 1
		last := l.blocks[n]
		if last.value < b.value {
			break
		}
		falls := l.falls(last, b)
		if falls && l.tile == 0 {
			l.tile = l.grid.sizes[b.end]
		}
		if falls && last.weight >= fallSamples {
			break
		}
		l.blocks = l.blocks[:n]
		if !falls {
			b.value = (b.value*b.weight + last.value*last.weight) / (b.weight + last.weight)
			b.weight += last.weight
		}
	}
	l.blocks = append(l.blocks, b)
}

// falls says whether a block is faster than one of smaller sizes by more than chance.
func (l *latency) falls(before, b block) bool {
	if l.spread.count < spreadCold {
		return false
	}
	deviation := max(l.spread.deviation(), minDeviation) * before.value * math.Sqrt(1/before.weight+1/b.weight)
	return before.value-b.value > fallDeviations*deviation
}

// setSmooth moves each measured point towards the straight line through its neighbours: as far as its own samples are
// uncertain, and less the less it is explained by that. Else a size would be kept to because it was lucky.
func (l *latency) setSmooth() {
	deviation := l.spread.deviation()
	for i := range l.points[:l.largest+1] {
		p := &l.points[i]
		l.smooth[i] = p.value
		if p.count == 0 || deviation <= 0 {
			continue
		}
		if line, variance, ok := l.line(i, deviation); ok {
			off, own := p.value-line, 1/p.precision(deviation)
			bend := off * off / bendChance * float64(min(p.count, bendSamples)) / bendSamples
			l.smooth[i] -= off * own / max(own+variance, bend)
		}
	}
}

// line is where the straight line through the neighbours of a point meets its size, and the variance of that; the nearer
// neighbours count more. It is the weighted least squares' of locally linear regression (Cleveland 1979).
func (l *latency) line(at int, deviation float64) (value, variance float64, ok bool) {
	size := float64(l.grid.sizes[at])
	reach := max(size*(bandFactor-1), bandLeast) + 1
	var n, x, y, xx, xy float64
	for i := range l.points[:l.largest+1] {
		p := &l.points[i]
		distance := float64(l.grid.sizes[i]) - size
		if p.count == 0 || i == at || math.Abs(distance) >= reach {
			continue
		}
		weight := p.precision(deviation) * (1 - distance*distance/(reach*reach))
		n, x, y = n+weight, x+weight*distance, y+weight*p.value
		xx, xy = xx+weight*distance*distance, xy+weight*distance*p.value
	}
	if n == 0 {
		return 0, 0, false
	}
	wide := xx - x*x/n
	if wide <= 1e-9*xx { // one neighbour alone has no slope
		return 0, 0, false
	}
	slope := (xy - x*y/n) / wide
	return (y - slope*x) / n, 1/n + x*x/(n*n*wide), true
}

// precision is the inverse of the variance of the point's value.
func (p *point) precision(deviation float64) float64 {
	off := p.value * deviation
	return float64(min(p.count, latencySamples)) / (off * off)
}

// doubt bounds what is not known, or of another time, by what is: a batch should not take longer than its halves one after
// the other. Without it a size that was slow once, when the device was busy with other things, would never be run again.
func (l *latency) doubt() {
	for i := 1; i <= l.usable; i++ {
		if p := &l.points[i]; p.count > 0 && l.age(p) <= staleAfter {
			continue
		}
		half := l.grid.point[(l.grid.sizes[i]+1)/2]
		l.expected[i] = min(l.expected[i], max(2*l.expected[half], l.expected[i-1]))
		l.bound[i] = min(l.bound[i], max(2*l.bound[half], l.bound[i-1]))
	}
}

// trusted is the largest point whose measurements count: in a hopeful table not what is too old.
func (l *latency) trusted() int {
	last := l.largest
	for l.hopeful && (l.points[last].count == 0 || l.age(&l.points[last]) > retryAfter) {
		last--
	}
	return last
}

// guess sets a point from what is sure about a measured one and what a straight line adds from there, where it rises. It is
// hoped to take less than the line says, so that it is tried, but must be on time even if it takes more.
func (l *latency) guess(at, measured int, sure, more float64) {
	more = max(0, more)
	if l.hopeful {
		sure, more = l.hope(at, measured, sure, more)
	}
	l.expected[at] = int64((sure + more*hopedSlope) * l.slowness)
	l.bound[at] = int64((sure + more*fearedSlope) * l.slowness)
	l.usable = at
}

// hope is what to guess from in a hopeful table. A size little above a measured one is hoped to take no longer; one that
// fills tiles, and was never run, to have a higher rate than any below it.
func (l *latency) hope(at, measured int, sure, more float64) (hopedSure, hopedMore float64) {
	size, known := float64(l.grid.sizes[at]), float64(l.grid.sizes[measured])
	if size <= max(known*hopeStep, known+1) {
		more = 0
	}
	if l.points[at].count > 0 || l.tile == 0 || l.grid.sizes[at]%l.tile != 0 {
		return sure, more
	}
	best, perRow := 0.0, math.Inf(1)
	for i := range l.points[:at] {
		p, below := &l.points[i], float64(l.grid.sizes[i])
		if p.count > 0 && p.value < perRow*below {
			best, perRow = below, p.value/below
		}
	}
	if tiled := perRow * (best + hopedSlope*(size-best)); tiled < sure+more {
		return tiled, 0
	}
	return sure, more
}

// interpolate fills the table up to a measured point.
func (l *latency) interpolate(last int) {
	measured, at, lowValue := -1, 0, 0.0
	for i := 0; i <= last; i++ {
		if l.points[i].count == 0 {
			continue
		}
		if i > l.blocks[at].end {
			at++
		}
		value := l.blocks[at].value
		l.guess(i, i, value, 0)
		if measured < 0 {
			for j := range i {
				l.guess(j, i, value, 0)
			}
		} else {
			low, from := lowValue, float64(l.grid.sizes[measured])
			for j := measured + 1; j < i; j++ {
				part := (float64(l.grid.sizes[j]) - from) / (float64(l.grid.sizes[i]) - from)
				l.guess(j, measured, low, (value-low)*part)
			}
		}
		measured, lowValue = i, value
	}
}

// extrapolate fills the table beyond the last measured point: a batch there is hoped to take less than the slope says, so
// that it is tried, but must be on time even if it takes more.
func (l *latency) extrapolate(last int) {
	top, size := float64(l.expected[last])/l.slowness, float64(l.grid.sizes[last])
	slope := top / size
	half := int(l.grid.point[(l.grid.sizes[last]+1)/2])
	if half < last {
		slope = min(slope, (top-float64(l.expected[half])/l.slowness)/(size-float64(l.grid.sizes[half])))
	}
	for i := last + 1; i < len(l.grid.sizes); i++ {
		if float64(l.grid.sizes[i]) > reach*size {
			l.expected[i], l.bound[i] = Never, Never
			continue
		}
		l.guess(i, last, top, slope*(float64(l.grid.sizes[i])-size))
	}
}
