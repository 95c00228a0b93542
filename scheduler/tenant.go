package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/store"
)

// setTenant takes over what a tenant may have. What runs beyond new limits goes on until it idles; of a tenant that is
// disabled, nothing does.
func (s *Scheduler) setTenant(now time.Time, tenant store.Tenant) {
	s.tenants[tenant.Name] = tenant
	for _, f := range slices.Clone(s.functions) {
		if f.key.Tenant == tenant.Name {
			f.touch(now)
			f.disabled = tenant.Disabled
			s.consider(now, f)
		}
	}
}

// holding is what a tenant's Instances hold together.
type holding struct {
	instances        int
	sliceMemoryBytes uint64
}

// add counts an Instance, or takes it off.
func (h *holding) add(i *instance, sign int) {
	h.instances += sign
	for _, slice := range i.slices {
		if sign > 0 {
			h.sliceMemoryBytes += slice.MemoryBytes
		} else {
			h.sliceMemoryBytes -= slice.MemoryBytes
		}
	}
}

func (s *Scheduler) held(tenant string) (h holding) {
	for _, i := range s.instances {
		if i.function.key.Tenant == tenant {
			h.add(i, 1)
		}
	}
	return h
}

// sliceMemory is the bytes of all Slices of an Instance.
func sliceMemory(spec store.FunctionSpec) uint64 {
	if spec.Device == nil {
		return 0
	}
	return uint64(spec.Device.Devices()) * spec.Device.MemoryBytes
}

// over says which limits of its tenant keep one more Instance with spec from a tenant who holds h; empty: none.
func over(limits store.TenantLimits, h holding, spec store.FunctionSpec) string {
	var reasons []string
	if limits.Instances > 0 && h.instances >= limits.Instances {
		reasons = append(reasons, fmt.Sprintf("instances: %d of %d are there", h.instances, limits.Instances))
	}
	if needs := sliceMemory(spec); limits.SliceMemoryBytes > 0 && needs > 0 && h.sliceMemoryBytes+needs > limits.SliceMemoryBytes {
		reasons = append(reasons, fmt.Sprintf("slice memory: needs %s, %s of %s are held",
			size(needs), size(h.sliceMemoryBytes), size(limits.SliceMemoryBytes)))
	}
	return strings.Join(reasons, ", ")
}

// withinLimits says whether f's tenant may have one more Instance of it; otherwise f waits, or is refused where it would
// wait in vain.
func (s *Scheduler) withinLimits(now time.Time, f *function) bool {
	limits, spec := s.tenants[f.key.Tenant].Limits, f.version.Spec
	why := over(limits, s.held(f.key.Tenant), spec)
	if why == "" {
		return true
	}
	f.block(now, "the tenant's limits: "+why)
	switch {
	case over(limits, holding{}, spec) != "":
		s.refuse(f, f.blocked)
	case f.queued > 0 && len(f.ranked()) == 0:
		s.makeTenantRoom(f, limits)
	}
	return false
}

// makeTenantRoom stops idle Instances of the same tenant's other functions, least recently needed first; none if that does
// not help, or if what is being stopped already will be enough.
func (s *Scheduler) makeTenantRoom(f *function, limits store.TenantLimits) {
	h := s.held(f.key.Tenant)
	var idle []*instance
	for _, other := range s.functions {
		if other.key.Tenant != f.key.Tenant {
			continue
		}
		for _, i := range other.instances {
			if i.state == stopping {
				h.add(i, -1)
			}
		}
		if other != f {
			idle = append(idle, other.spare()...)
		}
	}
	slices.SortStableFunc(idle, func(a, b *instance) int {
		return cmp.Or(a.neededAt.Compare(b.neededAt), strings.Compare(a.id, b.id))
	})
	var victims []*instance
	for _, i := range idle {
		if over(limits, h, f.version.Spec) == "" {
			break
		}
		if full := limits.Instances > 0 && h.instances >= limits.Instances; full || len(i.slices) > 0 {
			h.add(i, -1)
			victims = append(victims, i)
		}
	}
	if over(limits, h, f.version.Spec) != "" {
		return
	}
	for _, i := range victims {
		s.stop(i, StopPressure)
	}
}
