package simulator

import "testing"

// TestPoliciesKeepRules runs every policy on every curve: Run checks its rules, and nobody may beat the optimum.
func TestPoliciesKeepRules(t *testing.T) {
	for _, name := range PolicyNames() {
		for _, curve := range append(Published(), Others()...) {
			for _, process := range Processes() {
				arrivals := process.Draw(7, 1.2*curve.Capacity(), 300, curve.SLO)
				policy, err := NewPolicy(name, curve)
				if err != nil {
					t.Fatal(err)
				}
				outcomes, err := Run(Setup{Curve: curve, Arrivals: arrivals}, policy)
				if err != nil {
					t.Fatalf("%s on %s, %s: %v", name, curve.Name, process.Name, err)
				}
				if got, best := Goodput(outcomes), Optimum(curve, arrivals); got > best {
					t.Errorf("%s on %s, %s: %d of %d are on time, and the optimum is %d", name, curve.Name, process.Name, got, len(arrivals), best)
				}
			}
		}
	}
}
