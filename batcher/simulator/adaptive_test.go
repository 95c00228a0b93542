package simulator

import "testing"

// TestAdaptiveComesNearTheOptimum runs the published curves at capacity, with what the policy has learned from requests
// before, and a few others whose shape it has to find out; with durations that are always the same and that vary.
func TestAdaptiveComesNearTheOptimum(t *testing.T) {
	const want = 0.9
	for _, curve := range append(Published(), Others()...) {
		for _, process := range Processes()[:2] {
			for _, load := range []float64{0.6, 1, 1.5} {
				for _, noise := range []float64{0, 0.08} {
					if ratio := ratioOfAdaptive(t, curve, process, load, noise); ratio < want-0.4*noise {
						t.Errorf("%s, %s at %g of capacity, noise %g: %.3f of the optimum, want %.2f",
							curve.Name, process.Name, load, noise, ratio, want-0.4*noise)
					}
				}
			}
		}
	}
}

// TestAdaptiveFindsLargeBatches has a device that is fast only in batches far larger than any that was tried, or that a plan
// looks at one by one.
func TestAdaptiveFindsLargeBatches(t *testing.T) {
	curve := Curve{Name: "large", MaxSize: 256, SLO: 25e6, durations: make([]int64, 257)}
	for size := range curve.durations {
		curve.durations[size] = int64(3e6 + 35e3*float64(size))
	}
	for _, load := range []float64{1, 1.5} {
		if ratio := ratioOfAdaptive(t, curve, Processes()[0], load, 0); ratio < 0.95 {
			t.Errorf("at %g of capacity: %.3f of the optimum, want 0.95", load, ratio)
		}
	}
}

// TestAdaptiveFollowsTheDevice has a device that is slower by half of the time. The optimum is the fast device's.
func TestAdaptiveFollowsTheDevice(t *testing.T) {
	curve := Published()[0]
	rate := curve.Capacity()
	process := Processes()[0]
	setup := Setup{Curve: curve, Arrivals: process.Draw(11, rate, 8000, curve.SLO), Warmup: process.Draw(12, rate, 2000, curve.SLO), Slowdown: 1.5}
	if ratio := goodputOfAdaptive(t, setup) / float64(len(setup.Arrivals)); ratio < 0.7 {
		t.Errorf("%.3f of the requests are on time, want 0.70", ratio)
	}
}

// TestAdaptiveHasManyOnTimeUnderNoise has batches that take a fifth more or less by chance, as beside others on a host: they are
// neither a slower device nor reason to keep to sizes that were lucky.
func TestAdaptiveHasManyOnTimeUnderNoise(t *testing.T) {
	curve := newCurve("noisy", 48, interpolate([][2]float64{{1, 6.3}, {2, 6.3}, {4, 6.8}, {8, 8.5}, {16, 11.3}, {24, 15.5}, {32, 18}}))
	process, rate := Processes()[0], 1.3*curve.Capacity()
	onTime, optimum := 0.0, 0
	for seed := range uint64(8) {
		setup := Setup{
			Curve: curve, Arrivals: process.Draw(2*seed, rate, 1350, curve.SLO), Warmup: process.Draw(2*seed+1, rate, 3000, curve.SLO),
			Noise: 0.2, Seed: seed,
		}
		onTime += goodputOfAdaptive(t, setup)
		optimum += Optimum(curve, setup.Arrivals)
	}
	if ratio := onTime / float64(optimum); ratio < 0.96 {
		t.Errorf("%.3f of the optimum, want 0.96", ratio)
	}
}

func ratioOfAdaptive(t *testing.T, curve Curve, process Process, load, noise float64) float64 {
	rate := load * curve.Capacity()
	// As many as it takes to learn sizes that are far apart.
	warmup := 2000 * max(1, curve.MaxSize/maxCurveSize)
	arrivals := process.Draw(11, rate, 2000, curve.SLO)
	setup := Setup{Curve: curve, Arrivals: arrivals, Warmup: process.Draw(12, rate, warmup, curve.SLO), Noise: noise}
	return goodputOfAdaptive(t, setup) / float64(Optimum(curve, arrivals))
}

// goodputOfAdaptive is how many of a setup's requests it answers on time.
func goodputOfAdaptive(t *testing.T, setup Setup) float64 {
	policy, err := NewPolicy("adaptive", setup.Curve)
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := Run(setup, policy)
	if err != nil {
		t.Fatal(err)
	}
	return float64(Goodput(outcomes))
}
