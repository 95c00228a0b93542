package batcher

import (
	"math"
	"math/rand/v2"
	"testing"
)

// learned is a table that was told count durations of each size, in random order, with noise in parts of them.
func learned(random *rand.Rand, sizes, count int, noise float64, duration func(size int) float64) *latency {
	g := newGrid(sizes)
	l := newLatency(&g)
	for range count {
		for _, i := range random.Perm(sizes) {
			l.learn(i+1, int64(duration(i+1)*(1+noise*random.NormFloat64())))
		}
	}
	l.hopeful = false
	l.refresh()
	return l
}

// TestLatencySmoothsNoise has few noisy durations of each size of a straight line, which neighbours together tell better
// than each alone.
func TestLatencySmoothsNoise(t *testing.T) {
	line := func(size int) float64 { return 5e6 + 1e6*float64(size) }
	var alone, smooth float64
	for seed := range uint64(20) {
		l := learned(rand.New(rand.NewPCG(seed, 1)), 32, 6, 0.08, line)
		for i, p := range l.points {
			want := line(i + 1)
			alone += math.Pow(p.value/want-1, 2)
			smooth += math.Pow(l.smooth[i]/want-1, 2)
		}
	}
	if smooth > 0.7*alone {
		t.Errorf("squared error %.4f with neighbours, %.4f without, want at most 0.7 of it", smooth, alone)
	}
}

// TestLatencyKeepsSteps has durations that jump at powers of two: neighbours must not make the jump a slope.
func TestLatencyKeepsSteps(t *testing.T) {
	steps := func(size int) float64 { return 5e6 + 1e6*math.Exp2(math.Ceil(math.Log2(float64(size)))) }
	for _, noise := range []float64{0, 0.02} {
		l := learned(rand.New(rand.NewPCG(1, 1)), 32, 24, noise, steps)
		for i, got := range l.expected {
			if off := math.Abs(float64(got)/steps(i+1) - 1); off > 1.5*noise+1e-6 {
				t.Errorf("noise %g: size %d is expected to take %d, %.1f percent off", noise, i+1, got, 100*off)
			}
		}
	}
}

// TestLatencyKeepsFalls has sizes that are faster than smaller ones, as they fill the device's tiles.
func TestLatencyKeepsFalls(t *testing.T) {
	tiles := func(size int) float64 {
		if size%8 == 0 {
			return 5e6 + 0.4e6*float64(size)
		}
		return 6.5e6 + 0.55e6*float64(size)
	}
	for _, noise := range []float64{0, 0.05} {
		l := learned(rand.New(rand.NewPCG(1, 1)), 32, 24, noise, tiles)
		for i, got := range l.expected {
			if off := math.Abs(float64(got)/tiles(i+1) - 1); off > noise+1e-6 {
				t.Errorf("noise %g: size %d is expected to take %d, %.1f percent off", noise, i+1, got, 100*off)
			}
		}
		if l.tile != 8 || l.fastest[16] != l.expected[23] {
			t.Errorf("noise %g: tiles of %d, and from 17 on at least %d, want 8 and what 24 take, %d", noise, l.tile, l.fastest[16], l.expected[23])
		}
	}
}

// TestLatencyHopesForFullTiles has a table that knows of tiles and nothing of sizes above two of them.
func TestLatencyHopesForFullTiles(t *testing.T) {
	g := newGrid(32)
	l := newLatency(&g)
	for range 8 {
		for size := 1; size <= 17; size++ {
			duration := int64(20e6)
			if size%8 == 0 {
				duration = int64(5e6 + 0.4e6*float64(size))
			}
			l.learn(size, duration)
		}
	}
	for _, c := range []struct {
		hopeful   bool
		size      int
		fasterNow bool
	}{{false, 24, false}, {true, 24, true}, {true, 22, false}} {
		l.hopeful = c.hopeful
		l.refresh()
		if got := l.expected[c.size-1]; (got < l.expected[16]) != c.fasterNow {
			t.Errorf("hopeful %t: %d take %d, 17 take %d, want %d faster: %t", c.hopeful, c.size, got, l.expected[16], c.size, c.fasterNow)
		}
	}
}

// TestLatencyFallsNoFurther has a largest size that fell: what lies beyond, or below it, is not faster for that.
func TestLatencyFallsNoFurther(t *testing.T) {
	g := newGrid(16)
	l := newLatency(&g)
	for range 8 {
		for _, size := range []int{4, 5, 8} {
			duration := int64(9e6)
			if size == 8 {
				duration = 7e6
			}
			l.learn(size, duration)
		}
	}
	l.hopeful = false
	l.refresh()
	for size, least := range map[int]int64{6: 8.9e6, 7: 8.9e6, 9: 6.9e6, 16: 6.9e6} {
		if l.expected[size-1] < least || l.bound[size-1] < l.expected[size-1] {
			t.Errorf("%d are expected to take %d and at most %d, want at least %d", size, l.expected[size-1], l.bound[size-1], least)
		}
	}
}

// TestLatencyRisesAgainstChance has a size that is seldom run and had bad luck: a little, or when the host was held up.
func TestLatencyRisesAgainstChance(t *testing.T) {
	for _, factor := range []float64{1.3, 3} {
		random := rand.New(rand.NewPCG(2, 1))
		l := learned(random, 16, 8, 0.08, func(size int) float64 { return 5e6 + 0.2e6*float64(size) })
		l.points[10].count, l.points[10].value = 1, factor*l.points[11].value
		l.refresh()
		for i := 1; i < len(l.expected); i++ {
			if l.expected[i] < l.expected[i-1] {
				t.Errorf("11 took %g times as long: %d take %d, %d take %d: want no less", factor, i, l.expected[i-1], i+1, l.expected[i])
			}
		}
	}
}

func TestOdds(t *testing.T) {
	var s spread
	var o odds
	o.set(&s)
	if o.within(1) != 1 || o.within(0.999) != 0 {
		t.Errorf("with nothing known %g of batches take what is expected and %g less, want 1 and 0", o.within(1), o.within(0.999))
	}
	for i := range spreadSamples {
		s.add(0.9 + 0.2*float64(i)/(spreadSamples-1))
	}
	o.set(&s)
	for _, c := range []struct{ ratio, want float64 }{{0.8, 0}, {0.95, 0.25}, {1, 0.5}, {1.05, 0.75}, {1.1, 1}, {2, 1}} {
		if got := float64(o.within(c.ratio)); math.Abs(got-c.want) > 0.03 {
			t.Errorf("%.2f of batches are within %g of what is expected, want %g", got, c.ratio, c.want)
		}
	}
}
