//! The simulated Slack workspace: people who talk about films and flights in eight channels, with threads, edits and deleted messages.

use syncline::{
    Clock as _, SystemClock,
    core::join_key,
    providers::slack::simulator::SlackSim,
    testkit::{SimAnswer, SimRequest, Simulator},
};

const CHANNELS: [&str; 8] = ["general", "films", "premieres", "airports", "delays", "support", "sales", "random"];

const PEOPLE: [(&str, &str); 10] = [
    ("ada", "Ada Lovelace"),
    ("grace", "Grace Hopper"),
    ("alan", "Alan Turing"),
    ("edsger", "Edsger Dijkstra"),
    ("barbara", "Barbara Liskov"),
    ("donald", "Donald Knuth"),
    ("katherine", "Katherine Johnson"),
    ("margaret", "Margaret Hamilton"),
    ("ken", "Ken Thompson"),
    ("radia", "Radia Perlman"),
];

const OPENINGS: [&str; 6] =
    ["Has anyone seen", "I am still waiting for", "The numbers are in for", "Please look at", "No news about", "Good morning from"];
const THINGS: [&str; 8] = [
    "the premiere",
    "gate B12",
    "the late flight to Juneau",
    "the sequel",
    "the runway in Topeka",
    "the trailer",
    "the box office",
    "the fog",
];
const ENDINGS: [&str; 5] = ["?", ", as promised.", " – again.", " before noon :coffee:", ", thank you all!"];
const ANSWERS: [&str; 6] =
    ["On it.", "Yes, since yesterday.", "No idea, sorry.", "+1", "Let us talk after lunch.", "Fixed, please try again."];

/// How long ago the talk began, in seconds: 40 days.
const BEGINNING: i64 = 40 * 24 * 3600;

/// The workspace, and what its people do during the demo.
#[derive(Debug)]
pub(super) struct Talk {
    sim: SlackSim,
    /// Channel and `ts` of a message that will be edited, and of one that will be deleted.
    edited: (String, String),
    deleted: (String, String),
}

impl Talk {
    pub(super) fn seeded(token: &str) -> Self {
        let sim = SlackSim::new("T0DEMO001", "Demo Films & Flights");
        sim.expect_token(token);
        sim.without_limits();
        let people = PEOPLE.map(|(handle, name)| sim.add_user(handle, name));
        let channels = CHANNELS.map(|name| sim.add_channel(name));
        let start = SystemClock.now().timestamp() - BEGINNING;
        let mut chosen = Vec::new();
        for (c, channel) in channels.iter().enumerate() {
            let count = 90 + 25 * c;
            // Spread over all days but the last, so that nothing is younger than what a run looks back on.
            let step = (BEGINNING - 2 * 24 * 3600) / count as i64;
            for n in 0..count {
                let mix = c * 31 + n * 17 + n / 7;
                let user = &people[mix % people.len()];
                let at = start + n as i64 * step + c as i64;
                let text = format!("{} {}{}", OPENINGS[mix % 6], THINGS[(mix / 3) % 8], ENDINGS[(mix / 5) % 5]);
                let ts = sim.post(channel, user, &stamp(at, mix), &text);
                let replies = if n % 9 == 4 { 1 + mix % 4 } else { 0 };
                for r in 0..replies {
                    let who = &people[(mix + 3 * r + 1) % people.len()];
                    sim.reply(channel, &ts, who, &stamp(at + 60 * (r as i64 + 1), mix + r), ANSWERS[(mix + r) % 6]);
                }
                match n % 40 {
                    7 => sim.edit(channel, &ts, &format!("{text} (edited)"), &stamp(at + 30, mix)),
                    // A parent of replies leaves a tombstone.
                    13 => sim.delete(channel, &ts),
                    _ => {}
                }
                if n == 1 || n == 2 {
                    chosen.push((channel.clone(), ts));
                }
            }
        }
        let [edited, deleted] = [chosen[0].clone(), chosen[3].clone()];
        Self { sim, edited, deleted }
    }

    /// Somebody edits one old message and deletes another; answers the keys they have as records.
    pub(super) fn edit_and_delete(&self) -> (String, String) {
        let ((channel, ts), (gone_from, gone)) = (&self.edited, &self.deleted);
        self.sim.edit(channel, ts, "I was wrong about that, please ignore it.", &stamp(SystemClock.now().timestamp(), 1));
        self.sim.delete(gone_from, gone);
        (join_key([channel.as_str(), ts]), join_key([gone_from.as_str(), gone]))
    }
}

impl Simulator for Talk {
    fn operation(&self, request: &SimRequest) -> &'static str {
        self.sim.operation(request)
    }

    fn answer(&self, request: &SimRequest) -> SimAnswer {
        self.sim.answer(request)
    }
}

/// Slack's `ts`: seconds, and six decimals that tell messages of one second apart.
fn stamp(seconds: i64, mix: usize) -> String {
    format!("{seconds}.{:06}", (mix * 7919) % 1_000_000)
}
