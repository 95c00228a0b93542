package simulator

import (
	"fmt"
	"slices"

	"sluice/batcher"
)

// rivals are our own implementations of the policies in use and in papers, after their descriptions and sources. Those that
// take profiled tables are given the device's true curve; those that learn must learn.
var rivals = []struct {
	name string
	make func(Curve) rule
}{
	{"triton", func(c Curve) rule { return &triton{limit: c.MaxSize} }},
	{"triton-reject", func(c Curve) rule { return &triton{limit: c.MaxSize, reject: true} }},
	{"tfserving", func(c Curve) rule { return newStatic(c, false) }},
	{"static", func(c Curve) rule { return newStatic(c, true) }},
	{"clipper", func(c Curve) rule { return &clipper{curve: c, limit: 1} }},
	{"bentoml", func(c Curve) rule { return newBentoML(c) }},
	{"nexus", func(c Curve) rule { return &nexus{curve: c} }},
	{"symphony", func(c Curve) rule { return &nexus{curve: c, deferred: true} }},
	{"clockwork", func(c Curve) rule { return newClockwork(c) }},
	{"infless", func(c Curve) rule { return newINFless(c) }},
}

// ours are the policies that function.yaml can name.
var ours = []string{"adaptive", "window", "none"}

// windowMaxWait is the wait that window is given, in milliseconds.
const windowMaxWait = 2

// PolicyNames lists what NewPolicy knows: ours first.
func PolicyNames() []string {
	names := slices.Clone(ours)
	for _, r := range rivals {
		names = append(names, r.name)
	}
	return names
}

// NewPolicy makes the policy of that name for requests that are served as the curve says. Ours learn no more of the
// curve than its largest size.
func NewPolicy(name string, curve Curve) (batcher.Policy, error) {
	if slices.Contains(ours, name) {
		limits := batcher.Limits{MaxSize: curve.MaxSize}
		if name == "window" {
			limits.MaxWait = nanoseconds(windowMaxWait)
		}
		return batcher.New(name, limits)
	}
	for _, r := range rivals {
		if r.name == name {
			return &rival{rule: r.make(curve)}, nil
		}
	}
	return nil, fmt.Errorf("policy %q is none of %v", name, PolicyNames())
}
