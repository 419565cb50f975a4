//! Reaching a simulated service without a network.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use sync_http::{HttpTransport, Limits, TransportError};

use super::{
    SimAnswer, Simulation, Simulator,
    simulation::{End, Fate},
};

pub(super) struct SimTransport<S>(pub(super) Simulation<S>);

impl<S> fmt::Debug for SimTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimTransport")
    }
}

#[async_trait]
impl<S: Simulator> HttpTransport for SimTransport<S> {
    async fn send(&self, request: http::Request<Bytes>, limits: Limits) -> Result<http::Response<Bytes>, TransportError> {
        let (head, body) = request.into_parts();
        let Fate { delay, end } = self.0.arrive(head, body).await;
        if let End::Refused = end {
            return Err(TransportError::not_sent("no connection could be made: connection refused"));
        }
        self.0.wait(delay.min(limits.timeout)).await;
        if delay > limits.timeout {
            return Err(TransportError::unknown("timed out"));
        }
        match end {
            End::Answer(answer) if answer.body.len() > limits.max_body => Err(TransportError::too_large(limits.max_body)),
            End::Answer(answer) => response(answer),
            End::Cut(answer, after) => {
                let after = after.min(answer.body.len().saturating_sub(1));
                Err(TransportError::unknown(format!("the connection was cut after {after} bytes of the body")))
            }
            End::Lost | End::Held(_) => Err(TransportError::unknown("no answer came: connection reset")),
            End::Refused => Err(TransportError::not_sent("no connection could be made: connection refused")),
        }
    }
}

fn response(answer: SimAnswer) -> Result<http::Response<Bytes>, TransportError> {
    let mut builder = http::Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(answer.body).map_err(|error| TransportError::unknown("the simulator's answer is no HTTP").because(error))
}
