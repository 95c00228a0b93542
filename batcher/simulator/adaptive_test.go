package simulator

import "testing"

// TestAdaptiveComesNearTheOptimum runs the published curves at capacity, with what the policy has learned from requests
// before, and a few others whose shape it has to find out.
func TestAdaptiveComesNearTheOptimum(t *testing.T) {
	least := map[string]float64{"sawtooth": 0.75}
	for _, curve := range append(Published(), Others()...) {
		for _, process := range Processes()[:2] {
			for _, load := range []float64{0.6, 1, 1.5} {
				rate := load * curve.Capacity()
				policy, err := NewPolicy("adaptive", curve)
				if err != nil {
					t.Fatal(err)
				}
				arrivals := process.Draw(11, rate, 2000, curve.SLO)
				setup := Setup{Curve: curve, Arrivals: arrivals, Warmup: process.Draw(12, rate, 2000, curve.SLO)}
				outcomes, err := Run(setup, policy)
				if err != nil {
					t.Fatal(err)
				}
				want, given := least[curve.Name]
				if !given {
					want = 0.88
				}
				if ratio := float64(Goodput(outcomes)) / float64(Optimum(curve, arrivals)); ratio < want {
					t.Errorf("%s, %s at %g of capacity: %.3f of the optimum, want %.2f", curve.Name, process.Name, load, ratio, want)
				}
			}
		}
	}
}
