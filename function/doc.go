// Package function is what a function's program is written with: it serves the
// Open Inference Protocol v2 over gRPC for one [Model].
//
// The life of a function: [Main] listens, loads the model once, warms it up with
// one inference of zeros at batch size 1 and one at the largest, and only then says
// that it is ready. Requests are checked against the model's [Signature] before the
// model sees them, and run one at a time unless the signature declares more. On
// SIGTERM what runs is finished, within a bound. An error wrapped by [Fatal] is
// answered with UNAVAILABLE and ends the process, so that a new one is started.
package function
