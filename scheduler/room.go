package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sluice/broker/device"
	"sluice/store"
)

type node struct {
	capacity Node
	free     room
}

// room is what is free on a node. It is below zero where a node shrank under its Instances.
type room struct {
	cpuMilli    int
	memoryBytes int64
	devices     map[string]deviceRoom // by device id
}

type deviceRoom struct {
	memoryBytes  int64
	computeMilli int
}

func roomOf(capacity Node) room {
	r := room{cpuMilli: capacity.CPUMilli, memoryBytes: int64(capacity.MemoryBytes), devices: make(map[string]deviceRoom)}
	for _, d := range capacity.Devices {
		r.devices[d.ID] = deviceRoom{
			memoryBytes:  int64(d.MemoryBytes) - int64(d.ReservedMemoryBytes),
			computeMilli: device.ComputeWhole - d.ReservedComputeMilli,
		}
	}
	return r
}

func (r room) clone() room {
	devices := make(map[string]deviceRoom, len(r.devices))
	for id, d := range r.devices {
		devices[id] = d
	}
	r.devices = devices
	return r
}

// fit says whether an Instance has room, and with which Slices: of the first devices of one driver that have enough.
func (r room) fit(spec store.FunctionSpec, devices []Device) ([]device.Slice, bool) {
	if r.cpuMilli < spec.Resources.CPUMilli || r.memoryBytes < int64(spec.Resources.MemoryBytes) {
		return nil, false
	}
	if spec.Device == nil {
		return nil, true
	}
	found := make(map[int][]device.Slice) // by platform
	for _, d := range devices {
		free := r.devices[d.ID]
		if d.API != spec.Device.API || free.memoryBytes < int64(spec.Device.MemoryBytes) || free.computeMilli < spec.Device.ComputeMilli {
			continue
		}
		taken := append(found[d.PlatformIndex], device.Slice{
			DeviceID: d.ID, MemoryBytes: spec.Device.MemoryBytes, ComputeMilli: spec.Device.ComputeMilli,
			Keeper: device.KeeperSoftware,
		})
		if len(taken) == spec.Device.Devices() {
			return taken, true
		}
		found[d.PlatformIndex] = taken
	}
	return nil, false
}

func (r *room) take(i *instance) { r.add(i, -1) }
func (r *room) give(i *instance) { r.add(i, 1) }

func (r *room) add(i *instance, sign int) {
	r.cpuMilli += sign * i.need.Resources.CPUMilli
	r.memoryBytes += int64(sign) * int64(i.need.Resources.MemoryBytes)
	for _, slice := range i.slices {
		if d, known := r.devices[slice.DeviceID]; known {
			d.memoryBytes += int64(sign) * int64(slice.MemoryBytes)
			d.computeMilli += sign * slice.ComputeMilli
			r.devices[slice.DeviceID] = d
		}
	}
}

func (s *Scheduler) setNode(capacity Node) *node {
	at := slices.IndexFunc(s.nodes, func(n *node) bool { return n.capacity.Name == capacity.Name })
	if at < 0 {
		at = len(s.nodes)
		s.nodes = append(s.nodes, &node{})
	}
	n := s.nodes[at]
	n.capacity, n.free = capacity, roomOf(capacity)
	for _, i := range s.instances {
		if i.node == n {
			n.free.take(i)
		}
	}
	return n
}

// makeRoom stops as few idle Instances of other functions as f needs, least recently needed first; none if
// that does not help, or if what is being stopped already will be enough.
func (s *Scheduler) makeRoom(f *function) {
	spec := f.version.Spec
	for _, n := range s.nodes {
		free := n.free.clone()
		var idle []*instance
		for _, other := range s.functions {
			for _, i := range other.instances {
				if i.node == n && i.state == stopping {
					free.give(i)
				}
			}
			if other != f {
				idle = append(idle, slices.DeleteFunc(other.spare(), func(i *instance) bool { return i.node != n })...)
			}
		}
		if _, fits := free.fit(spec, n.capacity.Devices); fits {
			return
		}
		slices.SortStableFunc(idle, func(a, b *instance) int {
			return cmp.Or(a.neededAt.Compare(b.neededAt), strings.Compare(a.id, b.id))
		})
		if victims := fewest(free, idle, spec, n.capacity.Devices); victims != nil {
			for _, i := range victims {
				s.stop(i, StopPressure)
			}
			return
		}
	}
}

// fewest picks, in order, Instances whose end lets spec fit, and then keeps those that were not needed for it.
func fewest(free room, idle []*instance, spec store.FunctionSpec, devices []Device) []*instance {
	var victims []*instance
	fits := false
	for _, i := range idle {
		free.give(i)
		victims = append(victims, i)
		if _, fits = free.fit(spec, devices); fits {
			break
		}
	}
	if !fits {
		return nil
	}
	return slices.DeleteFunc(victims, func(i *instance) bool {
		free.take(i)
		if _, still := free.fit(spec, devices); still {
			return true
		}
		free.give(i)
		return false
	})
}

// everFits says whether spec would fit if nothing else held anything; true while no node is known.
func (s *Scheduler) everFits(spec store.FunctionSpec) bool {
	return len(s.nodes) == 0 || slices.ContainsFunc(s.nodes, func(n *node) bool {
		empty := n.capacity
		empty.Devices = slices.Clone(empty.Devices)
		for i := range empty.Devices {
			empty.Devices[i].ReservedMemoryBytes, empty.Devices[i].ReservedComputeMilli = 0, 0
		}
		_, fits := roomOf(empty).fit(spec, empty.Devices)
		return fits
	})
}

// explain says for each node what keeps spec from it.
func (s *Scheduler) explain(spec store.FunctionSpec) string {
	if len(s.nodes) == 0 {
		return "no node is known"
	}
	var reasons []string
	for _, n := range s.nodes {
		reasons = append(reasons, "node "+n.capacity.Name+": "+strings.Join(n.missing(spec), ", "))
	}
	return strings.Join(reasons, "; ")
}

func (n *node) missing(spec store.FunctionSpec) []string {
	var reasons []string
	if n.free.cpuMilli < spec.Resources.CPUMilli {
		reasons = append(reasons, fmt.Sprintf("cpu: needs %dm, %dm of %dm free", spec.Resources.CPUMilli, max(n.free.cpuMilli, 0), n.capacity.CPUMilli))
	}
	if n.free.memoryBytes < int64(spec.Resources.MemoryBytes) {
		reasons = append(reasons, fmt.Sprintf("memory: needs %s, %s of %s free",
			size(spec.Resources.MemoryBytes), size(uint64(max(n.free.memoryBytes, 0))), size(n.capacity.MemoryBytes)))
	}
	if spec.Device == nil {
		return reasons
	}
	offered := false
	for _, d := range n.capacity.Devices {
		if d.API != spec.Device.API {
			continue
		}
		offered = true
		free := n.free.devices[d.ID]
		if free.memoryBytes < int64(spec.Device.MemoryBytes) {
			reasons = append(reasons, fmt.Sprintf("device %s memory: needs %s, %s of %s free",
				d.ID, size(spec.Device.MemoryBytes), size(uint64(max(free.memoryBytes, 0))), size(d.MemoryBytes)))
		}
		if free.computeMilli < spec.Device.ComputeMilli {
			reasons = append(reasons, fmt.Sprintf("device %s compute: needs %d thousandths, %d free",
				d.ID, spec.Device.ComputeMilli, max(free.computeMilli, 0)))
		}
	}
	switch count := spec.Device.Devices(); {
	case !offered:
		reasons = append(reasons, "no device with api "+spec.Device.API)
	case count > 1:
		reasons = append(reasons, fmt.Sprintf("devices: needs %d of one driver, each with room", count))
	}
	return reasons
}

func size(bytes uint64) string {
	if bytes%(1<<20) == 0 {
		return fmt.Sprintf("%dMi", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
