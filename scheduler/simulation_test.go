package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/broker/device"
	"sluice/scheduler"
	"sluice/store"
)

// simulation is a node that carries out what a Scheduler decides, at random speed and with random failures, and keeps
// its own count of everything.
type simulation struct {
	t         *testing.T
	random    *rand.Rand
	core      *scheduler.Scheduler
	now       time.Time
	node      scheduler.Node
	tenant    store.Tenant
	functions map[scheduler.Key]*simulatedFunction
	instances map[string]*simulatedInstance
	ids       []string // of instances, in order of their start
	used      map[string]bool
	restarts  int
}

type simulatedFunction struct {
	version store.Version
	demand  int
}

type simulatedInstance struct {
	place scheduler.Place
	state string // starting, ready, stopping
}

func TestSimulation(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			s := newSimulation(t, seed)
			for range 400 {
				s.disturb()
			}
			s.settle()
		})
	}
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), core: scheduler.New("s"), now: origin,
		functions: make(map[scheduler.Key]*simulatedFunction),
		instances: make(map[string]*simulatedInstance), used: make(map[string]bool),
	}
	s.node = scheduler.Node{Name: "n", CPUMilli: 1000 + s.random.IntN(8000), MemoryBytes: uint64(1+s.random.IntN(8)) << 30}
	for i := range s.random.IntN(5) {
		s.node.Devices = append(s.node.Devices, scheduler.Device{Device: device.Device{
			ID: fmt.Sprint("d", i), API: device.APIOpenCL, MemoryBytes: uint64(1+s.random.IntN(4)) << 30, PlatformIndex: s.random.IntN(2),
		}})
	}
	s.tenant.Name = "t"
	if s.random.IntN(2) == 0 {
		s.tenant.Limits = store.TenantLimits{Instances: 1 + s.random.IntN(8), SliceMemoryBytes: uint64(1+s.random.IntN(16)) << 27}
	}
	s.step(scheduler.TenantChanged{Tenant: s.tenant})
	s.step(scheduler.NodeChanged{Node: s.node})
	for i := range 1 + s.random.IntN(6) {
		s.deploy(fmt.Sprint("f", i))
	}
	return s
}

func (s *simulation) deploy(name string) {
	if s.functions[scheduler.Key{Tenant: "t", Function: name, Version: "1"}] != nil {
		return
	}
	spec := store.FunctionSpec{
		Name:        name,
		Resources:   store.Resources{CPUMilli: 100 * (1 + s.random.IntN(20)), MemoryBytes: uint64(1+s.random.IntN(16)) << 26},
		Batch:       store.Batch{MaxSize: 1 + s.random.IntN(8)},
		Scale:       store.Scale{Max: 1 + s.random.IntN(5), Idle: time.Duration(s.random.IntN(60)) * time.Second},
		Concurrency: 1 + s.random.IntN(3),
	}
	spec.Scale.Min = s.random.IntN(2) * s.random.IntN(spec.Scale.Max+1)
	if s.random.IntN(2) == 0 {
		spec.Device = &store.DeviceRequest{
			API: device.APIOpenCL, MemoryBytes: uint64(1+s.random.IntN(16)) << 26, ComputeMilli: s.random.IntN(1001),
			Count: s.random.IntN(4),
		}
	}
	version := store.Version{Tenant: "t", Function: name, Number: "1", Spec: spec}
	s.functions[scheduler.KeyOf(version)] = &simulatedFunction{version: version}
	s.step(scheduler.Deployed{Version: version})
}

// disturb lets time pass and one thing happen.
func (s *simulation) disturb() {
	if s.random.IntN(3) == 0 {
		s.now = s.now.Add(time.Duration(s.random.IntN(20000)) * time.Millisecond)
	}
	keys := make([]scheduler.Key, 0, len(s.functions))
	for key := range s.functions {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b scheduler.Key) int { return strings.Compare(a.Function, b.Function) })
	switch what := s.random.IntN(100); {
	case what < 40 && len(keys) > 0:
		key := keys[s.random.IntN(len(keys))]
		f := s.functions[key]
		f.demand = max(0, s.random.IntN(60)-20)
		inFlight := s.random.IntN(f.demand + 1)
		s.step(scheduler.DemandChanged{Key: key, Queued: f.demand - inFlight, InFlight: inFlight})
	case what < 85 && len(s.ids) > 0:
		s.advance(s.ids[s.random.IntN(len(s.ids))], s.random.IntN(5) == 0)
	case what < 88 && len(keys) > 0:
		key := keys[s.random.IntN(len(keys))]
		delete(s.functions, key)
		s.step(scheduler.Removed{Key: key})
	case what < 90:
		s.tenant.Disabled = !s.tenant.Disabled
		s.step(scheduler.TenantChanged{Tenant: s.tenant})
	case what < 94:
		s.deploy(fmt.Sprint("f", s.random.IntN(8)))
	case what < 96:
		s.restart(keys)
	default:
		s.step(scheduler.Tick{})
	}
}

// restart puts a new Scheduler in the place of this one: it adopts what is ready, the rest is gone with those who waited.
func (s *simulation) restart(keys []scheduler.Key) {
	s.restarts++
	s.core = scheduler.New(fmt.Sprint("s", s.restarts))
	s.step(scheduler.TenantChanged{Tenant: s.tenant})
	for _, key := range keys {
		if f := s.functions[key]; f != nil {
			f.demand = 0
			s.step(scheduler.Deployed{Version: f.version})
		}
	}
	changed := scheduler.NodeChanged{Node: s.node}
	for _, id := range slices.Clone(s.ids) {
		i := s.instances[id]
		key := scheduler.KeyOf(i.place.Version)
		if _, deployed := s.core.Version(key); !deployed || i.state != "ready" {
			delete(s.instances, id)
			s.ids = slices.DeleteFunc(s.ids, func(other string) bool { return other == id })
			continue
		}
		i.state = "starting"
		changed.Adopted = append(changed.Adopted, scheduler.Adopted{Instance: id, Key: key, Slices: i.place.Slices})
	}
	s.step(changed)
}

// advance moves one Instance on: to ready, to failed, to gone.
func (s *simulation) advance(id string, fail bool) {
	i := s.instances[id]
	switch {
	case i.state == "stopping":
		delete(s.instances, id)
		s.ids = slices.DeleteFunc(s.ids, func(other string) bool { return other == id })
		s.step(scheduler.InstanceStopped{Instance: id})
	case fail:
		s.step(scheduler.InstanceFailed{Instance: id, Reason: "simulated", Lasting: s.random.IntN(4) == 0})
		if s.instances[id].state != "stopping" {
			s.t.Fatalf("%s failed and was not stopped", id)
		}
	case i.state == "starting":
		i.state = "ready"
		s.step(scheduler.InstanceReady{Instance: id})
	}
}

func (s *simulation) step(event scheduler.Event) {
	for _, decision := range s.core.Step(s.now, event) {
		switch d := decision.(type) {
		case scheduler.Place:
			if s.used[d.Instance] {
				s.t.Fatalf("id %s was given twice", d.Instance)
			}
			s.used[d.Instance] = true
			s.instances[d.Instance] = &simulatedInstance{place: d, state: "starting"}
			s.ids = append(s.ids, d.Instance)
			s.checkPlace(d)
		case scheduler.Stop:
			i := s.instances[d.Instance]
			if i == nil || i.state == "stopping" {
				s.t.Fatalf("stop of %s, which is not there or being stopped already", d.Instance)
			}
			if i.state == "starting" && (d.Reason == scheduler.StopIdle || d.Reason == scheduler.StopPressure) {
				s.t.Fatalf("%s was stopped as idle before it was ready", d.Instance)
			}
			i.state = "stopping"
		case scheduler.Refuse:
			s.checkRefuse(d)
		}
	}
	s.checkCapacity()
}

// checkPlace holds a start against the function's limits.
func (s *simulation) checkPlace(d scheduler.Place) {
	key := scheduler.KeyOf(d.Version)
	f := s.functions[key]
	if s.tenant.Disabled {
		s.t.Fatalf("%s was started for a disabled tenant", d.Instance)
	}
	if f == nil {
		s.t.Fatalf("%s was started for a removed function", d.Instance)
	}
	starting, ready := 0, 0
	for _, i := range s.instances {
		if scheduler.KeyOf(i.place.Version) != key {
			continue
		}
		switch i.state {
		case "starting":
			starting++
		case "ready":
			ready++
		}
	}
	if ready == 0 && starting > 1 {
		s.t.Fatalf("%s: %d starts are in flight and none is ready", key, starting)
	}
	if starting+ready > f.version.Spec.Scale.Max {
		s.t.Fatalf("%s: %d Instances, the maximum is %d", key, starting+ready, f.version.Spec.Scale.Max)
	}
	if f.demand == 0 && starting+ready > f.version.Spec.Scale.Min {
		s.t.Fatalf("%s: %s was started without demand", key, d.Instance)
	}
	s.checkSlices(f.version.Spec.Device, d.Slices)
}

// checkSlices: as many as are asked for, of different devices of one driver.
func (s *simulation) checkSlices(asked *store.DeviceRequest, taken []device.Slice) {
	wanted := 0
	if asked != nil {
		wanted = asked.Devices()
	}
	platforms, ids := make(map[int]bool), make(map[string]bool)
	for _, slice := range taken {
		at := slices.IndexFunc(s.node.Devices, func(d scheduler.Device) bool { return d.ID == slice.DeviceID })
		platforms[s.node.Devices[at].PlatformIndex], ids[slice.DeviceID] = true, true
	}
	if len(taken) != wanted || len(ids) != wanted || len(platforms) > 1 {
		s.t.Fatalf("asked %+v, placed with %+v of %+v", asked, taken, s.node.Devices)
	}
}

// checkRefuse: nobody is refused for whom an Instance is there or on its way.
func (s *simulation) checkRefuse(d scheduler.Refuse) {
	if s.functions[d.Key] == nil || s.functions[d.Key].demand == 0 || d.Reason == "" {
		s.t.Fatalf("refused without demand or reason: %+v", d)
	}
	for id, i := range s.instances {
		if scheduler.KeyOf(i.place.Version) == d.Key && i.state != "stopping" {
			s.t.Fatalf("%s is refused while %s is %s", d.Key, id, i.state)
		}
	}
}

// checkCapacity sums up what all Instances that exist hold.
func (s *simulation) checkCapacity() {
	cpu, memory := 0, uint64(0)
	deviceMemory, compute := make(map[string]uint64), make(map[string]int)
	for _, i := range s.instances {
		cpu += i.place.Version.Spec.Resources.CPUMilli
		memory += i.place.Version.Spec.Resources.MemoryBytes
		for _, slice := range i.place.Slices {
			deviceMemory[slice.DeviceID] += slice.MemoryBytes
			compute[slice.DeviceID] += slice.ComputeMilli
		}
	}
	var sliceMemory uint64
	for _, bytes := range deviceMemory {
		sliceMemory += bytes
	}
	if limits := s.tenant.Limits; limits.Instances > 0 && (len(s.instances) > limits.Instances || sliceMemory > limits.SliceMemoryBytes) {
		s.t.Fatalf("%d Instances and %d bytes of slices, the limits are %+v", len(s.instances), sliceMemory, limits)
	}
	if cpu > s.node.CPUMilli || memory > s.node.MemoryBytes {
		s.t.Fatalf("%dm and %d bytes are promised of %dm and %d", cpu, memory, s.node.CPUMilli, s.node.MemoryBytes)
	}
	for _, d := range s.node.Devices {
		if deviceMemory[d.ID] > d.MemoryBytes || compute[d.ID] > device.ComputeWhole {
			s.t.Fatalf("%d bytes and %d thousandths of %s are promised", deviceMemory[d.ID], compute[d.ID], d.ID)
		}
		delete(deviceMemory, d.ID)
	}
	if len(deviceMemory) > 0 {
		s.t.Fatalf("slices of devices that do not exist: %v", deviceMemory)
	}
}

// settle ends all demand and lets everything take its course: what is left must be the minimum, or nothing runs for
// lack of room, and after the removal of all functions nothing at all.
func (s *simulation) settle() {
	s.tenant.Disabled = false
	s.step(scheduler.TenantChanged{Tenant: s.tenant})
	for key, f := range s.functions {
		f.demand = 0
		s.step(scheduler.DemandChanged{Key: key})
	}
	s.runDown()
	for _, status := range s.core.Status() {
		f := s.functions[status.Key]
		if f == nil || status.Starting != 0 || status.Stopping != 0 {
			s.t.Fatalf("left over: %+v", status)
		}
		lowest := f.version.Spec.Scale.Min
		if status.Ready > lowest || status.Ready < lowest && status.Waiting == "" {
			s.t.Fatalf("%d Instances idle, the minimum is %d: %+v", status.Ready, lowest, status)
		}
	}
	for key := range s.functions {
		delete(s.functions, key)
		s.step(scheduler.Removed{Key: key})
	}
	s.runDown()
	if len(s.instances) != 0 || len(s.core.Status()) != 0 {
		s.t.Fatalf("after removal: %d Instances, %+v", len(s.instances), s.core.Status())
	}
	if next, due := s.core.Next(); due {
		s.t.Fatalf("a tick is due at %s with nothing to do", next)
	}
	s.tenant.Limits = store.TenantLimits{}
	s.step(scheduler.TenantChanged{Tenant: s.tenant})
	s.fillAll()
}

// fillAll starts an Instance as large as the node: it has room if everything was given back.
func (s *simulation) fillAll() {
	spec := store.FunctionSpec{
		Name: "whole", Resources: store.Resources{CPUMilli: s.node.CPUMilli, MemoryBytes: s.node.MemoryBytes},
		Scale: store.Scale{Min: 1, Max: 1},
	}
	if len(s.node.Devices) > 0 {
		spec.Device = &store.DeviceRequest{
			API: device.APIOpenCL, MemoryBytes: s.node.Devices[0].MemoryBytes, ComputeMilli: device.ComputeWhole,
		}
	}
	version := store.Version{Tenant: "t", Function: "whole", Number: "1", Spec: spec}
	s.functions[scheduler.KeyOf(version)] = &simulatedFunction{version: version}
	s.step(scheduler.Deployed{Version: version})
	if len(s.instances) != 1 {
		s.t.Fatalf("an empty node has no room for one Instance of its size: %+v", s.core.Status())
	}
}

// runDown carries out everything, without failures, until no Instance is on its way and no tick is due.
func (s *simulation) runDown() {
	for range 10000 {
		for _, id := range slices.Clone(s.ids) {
			if s.instances[id] != nil {
				s.advance(id, false)
			}
		}
		next, due := s.core.Next()
		moving := slices.ContainsFunc(s.ids, func(id string) bool { return s.instances[id].state != "ready" })
		if !due && !moving {
			return
		}
		if due && !moving {
			if next.After(s.now) {
				s.now = next
			}
			s.step(scheduler.Tick{})
			if again, due := s.core.Next(); due && !again.After(s.now) {
				s.t.Fatalf("after a tick at %s the next one is due at %s", s.now, again)
			}
		}
	}
	s.t.Fatal("it never comes to rest")
}
