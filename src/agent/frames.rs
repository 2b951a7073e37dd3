//! A turn's stream of frames: bytes in, frames out. A stream that ends before its `end` frame was cut.

use super::error::AgentError;
use super::port::Body;
use super::protocol::Frame;

/// Longest line of a stream: 4 MiB, within which the agent server keeps its frames, and some slack.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;

/// Reads frames from a body.
pub struct Frames<B> {
    body: B,
    buffer: Vec<u8>,
    read: usize,
}

impl<B: Body> Frames<B> {
    /// Reads from the beginning of `body`.
    pub fn new(body: B) -> Self {
        Self { body, buffer: Vec::new(), read: 0 }
    }

    /// The next frame.
    ///
    /// # Errors
    /// [`AgentError::Cut`] if the stream broke off, [`AgentError::Protocol`] if a line is not a frame.
    pub async fn next(&mut self) -> Result<Frame, AgentError> {
        let mut searched = self.read;
        loop {
            let found = self.buffer.get(searched..).unwrap_or_default().iter().position(|byte| *byte == b'\n');
            if let Some(at) = found {
                let end = searched + at;
                if end - self.read > MAX_FRAME_BYTES {
                    return Err(AgentError::Protocol("a frame is too long".to_owned()));
                }
                let line = std::str::from_utf8(self.buffer.get(self.read..end).unwrap_or_default());
                let line = line.map_err(|e| AgentError::Protocol(e.to_string()))?;
                let frame = Frame::parse(line).map_err(|e| AgentError::Protocol(e.to_string()));
                self.read = end + 1;
                return frame;
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            searched = self.buffer.len();
            if searched > MAX_FRAME_BYTES {
                return Err(AgentError::Protocol("a frame is too long".to_owned()));
            }
            match self.body.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) | Err(_) => return Err(AgentError::Cut),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::agent::ContainerError;
    use crate::agent::protocol::FrameBody;
    use crate::domain::event::EventKind;
    use futures_util::FutureExt;

    struct Pieces(VecDeque<Vec<u8>>);
    impl Body for Pieces {
        async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
            Ok(self.0.pop_front())
        }
    }

    fn frames(pieces: &[&[u8]]) -> Frames<Pieces> {
        Frames::new(Pieces(pieces.iter().map(|piece| piece.to_vec()).collect()))
    }

    #[test]
    fn frames_are_whole_however_the_bytes_arrive() {
        let text = "{\"n\":1,\"type\":\"delta\",\"text\":\"é\"}\n{\"n\":2,\"type\":\"end\"}\n";
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let mut frames = frames(&pieces);
            let first = frames.next().now_or_never().unwrap().unwrap();
            assert!(matches!(first.body, FrameBody::Event(EventKind::Delta(delta)) if delta.text == "é"));
            assert!(matches!(frames.next().now_or_never().unwrap().unwrap().body, FrameBody::End));
            assert!(matches!(frames.next().now_or_never().unwrap(), Err(AgentError::Cut)));
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_no_frame_however_it_arrives() {
        let line = |bytes: usize| {
            let head = "{\"n\":1,\"type\":\"delta\",\"text\":\"";
            format!("{head}{}\"}}\n", "x".repeat(bytes - head.len() - 2)).into_bytes()
        };
        let longest = line(MAX_FRAME_BYTES);
        assert!(frames(&[&longest]).next().now_or_never().unwrap().is_ok());
        let longer = line(MAX_FRAME_BYTES + 1);
        for pieces in [vec![longer.as_slice()], longer.chunks(65_536).collect()] {
            let next = frames(&pieces).next().now_or_never().unwrap();
            assert!(matches!(next, Err(AgentError::Protocol(_))));
        }
        let endless = vec![b'x'; 65_536];
        let pieces: Vec<&[u8]> = std::iter::repeat_n(endless.as_slice(), 100).collect();
        assert!(matches!(frames(&pieces).next().now_or_never().unwrap(), Err(AgentError::Protocol(_))));
    }

    #[test]
    fn a_half_line_is_a_cut() {
        assert!(matches!(frames(&[b"{\"n\":1,"]).next().now_or_never().unwrap(), Err(AgentError::Cut)));
    }
}
