package main

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/proto/gen/control"
	"sluice/scheduler"
	"sluice/scheduler/executor"
	"sluice/store"
)

// ListInstances asks the executor, which knows all that exist.
func (s *controlServer) ListInstances(_ context.Context, request *control.ListInstancesRequest) (*control.ListInstancesResponse, error) {
	tenant := tenantOf(request.GetTenant())
	response := &control.ListInstancesResponse{}
	for _, i := range s.rollout.executor.Instances() {
		if i.Key.Tenant != tenant || request.GetFunction() != "" && i.Key.Function != request.GetFunction() {
			continue
		}
		response.Instances = append(response.Instances, &control.Instance{
			Id: i.ID, Tenant: i.Key.Tenant, Function: i.Key.Function, Version: i.Key.Version, State: string(i.State),
			Pid: int32(i.PID), Lease: i.LeaseID, StartedAt: timestamppb.New(i.StartedAt), Phases: phases(i.ColdStart),
		})
	}
	return response, nil
}

func phases(start executor.ColdStart) []*control.Phase {
	var made []*control.Phase
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"lease", start.Lease}, {"create", start.Create}, {"start", start.Start}, {"ready", start.Ready}} {
		made = append(made, &control.Phase{Name: phase.name, Took: durationpb.New(phase.took)})
	}
	return made
}

// instanceCount is how many Instances of a Version there are, in any state.
func (r *rollout) instanceCount(version store.Version) int {
	count := 0
	for _, i := range r.executor.Instances() {
		if i.Key == scheduler.KeyOf(version) {
			count++
		}
	}
	return count
}
