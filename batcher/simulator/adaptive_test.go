package simulator

import "testing"

// TestAdaptiveComesNearTheOptimum runs the published curves at capacity, with what the policy has learned from requests
// before, and a few others whose shape it has to find out; with durations that are always the same and that vary.
func TestAdaptiveComesNearTheOptimum(t *testing.T) {
	least := map[string]float64{"sawtooth": 0.75}
	for _, curve := range append(Published(), Others()...) {
		want, given := least[curve.Name]
		if !given {
			want = 0.9
		}
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

func ratioOfAdaptive(t *testing.T, curve Curve, process Process, load, noise float64) float64 {
	rate := load * curve.Capacity()
	policy, err := NewPolicy("adaptive", curve)
	if err != nil {
		t.Fatal(err)
	}
	arrivals := process.Draw(11, rate, 2000, curve.SLO)
	setup := Setup{Curve: curve, Arrivals: arrivals, Warmup: process.Draw(12, rate, 2000, curve.SLO), Noise: noise}
	outcomes, err := Run(setup, policy)
	if err != nil {
		t.Fatal(err)
	}
	return float64(Goodput(outcomes)) / float64(Optimum(curve, arrivals))
}
