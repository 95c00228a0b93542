package simulator

import (
	"cmp"
	"slices"

	"sluice/batcher"
)

// nexus is Nexus's early drop: heads that cannot finish in a batch of the target size are dropped, then the batch
// grows as long as its head stays on time. With deferred it is Symphony: it waits until one more request could not be
// added any more.
type nexus struct {
	unlearned
	curve    Curve
	deferred bool
}

func (n *nexus) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	target := n.curve.halfSLOSize()
	for drop < len(queue) {
		size := min(target, len(queue)-drop)
		if now+n.curve.Duration(size) <= queue[drop].Deadline {
			run = size
			break
		}
		drop++
	}
	if run == 0 {
		return drop, 0, batcher.Never
	}
	head := queue[drop].Deadline
	for run < min(len(queue)-drop, n.curve.MaxSize) && now+n.curve.Duration(run+1) <= head {
		run++
	}
	if n.deferred && run == len(queue)-drop && run < n.curve.MaxSize {
		if start := head - n.curve.Duration(run+1); start > now {
			return drop, 0, start
		}
	}
	return drop, run, batcher.Never
}

// clockwork has a strategy per power of two: it knows the 99th percentile of its duration, drops heads that would be
// late, and must start by its head's deadline. Of the strategies that can be filled the largest is run.
type clockwork struct {
	sizes     []int
	durations map[int][]int64
}

// clockworkSamples is how many durations a percentile is taken of.
const clockworkSamples = 100

func newClockwork(c Curve) *clockwork {
	w := &clockwork{durations: make(map[int][]int64)}
	for b := 1; b <= c.MaxSize; b *= 2 {
		w.sizes = append(w.sizes, b)
		w.durations[b] = []int64{c.Duration(b)}
	}
	return w
}

func (w *clockwork) ran(_ int64, size int, duration int64) {
	d := append(w.durations[size], duration)
	w.durations[size] = d[max(0, len(d)-clockworkSamples):]
}

func (w *clockwork) percentile(size int) int64 {
	d := slices.Clone(w.durations[size])
	slices.Sort(d)
	return d[(len(d)-1)*99/100]
}

func (w *clockwork) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	for i := len(w.sizes) - 1; i >= 0; i-- {
		size := w.sizes[i]
		if skip := expired(queue, now+w.percentile(size)); len(queue)-skip >= size {
			return skip, size, batcher.Never
		}
	}
	return len(queue), 0, batcher.Never
}

// clipper is the paper's: it takes up to a limit, which grows by 1 where a batch of that size met the objective and
// falls by a tenth where not. Deadlines that have passed are removed.
type clipper struct {
	curve Curve
	limit float64
}

func (c *clipper) ran(_ int64, size int, duration int64) {
	switch {
	case duration > c.curve.SLO:
		c.limit = max(1, c.limit*0.9)
	case size >= int(c.limit):
		c.limit = min(c.limit+1, float64(c.curve.MaxSize))
	}
}

func (c *clipper) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	drop = expired(queue, now)
	return drop, min(len(queue)-drop, int(c.limit)), batcher.Never
}

// bentoml is BentoML's CORK: a line a*n+b through the last 50 batches; heads are cancelled until the whole queue is on
// time, then it waits while that costs those who wait less than a twentieth of the average wait.
type bentoml struct {
	curve   Curve
	a, b    float64
	samples [][2]float64
	refresh int64
	// wait is the average time that the first request of a batch was queued, in nanoseconds.
	wait float64
}

const (
	bentomlSamples = 50
	bentomlRefresh = 5e9
	bentomlTicket  = 1e6
)

func newBentoML(c Curve) *bentoml {
	slo := float64(c.SLO)
	return &bentoml{curve: c, a: slo * 2 / 30, b: slo / 30}
}

func (m *bentoml) ran(now int64, size int, duration int64) {
	m.samples = append(m.samples, [2]float64{float64(size), float64(duration)})
	m.samples = m.samples[max(0, len(m.samples)-bentomlSamples):]
	if now < m.refresh && len(m.samples) >= bentomlSamples {
		return
	}
	m.refresh = now + bentomlRefresh
	var n, x, y, xx, xy float64
	for _, s := range m.samples {
		n, x, y, xx, xy = n+1, x+s[0], y+s[1], xx+s[0]*s[0], xy+s[0]*s[1]
	}
	if spread := n*xx - x*x; spread > 0 {
		m.a = max((n*xy-x*y)/spread, 1)
		m.b = max((y-m.a*x)/n, 0)
	}
}

func (m *bentoml) next(now int64, queue []batcher.Request) (drop, run int, wakeAt int64) {
	for drop = range queue {
		n := len(queue) - drop
		if n == 1 && queue[drop].Deadline >= now ||
			now+int64(m.a*float64(min(n, m.curve.MaxSize))+m.b) <= queue[drop].Deadline {
			run = n
			break
		}
	}
	if run == 0 {
		return len(queue), 0, batcher.Never
	}
	newest := slices.MaxFunc(queue, func(a, b batcher.Request) int { return cmp.Compare(a.Arrival, b.Arrival) })
	waited := float64(now - newest.Arrival)
	if run < m.curve.MaxSize && float64(run)*(waited+bentomlTicket+m.a) <= 0.95*m.wait {
		return drop, 0, now + bentomlTicket
	}
	run = min(run, m.curve.MaxSize)
	m.wait += (float64(now-queue[drop].Arrival) - m.wait) / bentomlSamples
	return drop, run, batcher.Never
}
