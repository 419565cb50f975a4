//! The simulated Slack workspace: people who talk about films and flights in eight channels, with threads, edits and deleted messages.

use syncline::{
    Clock as _, SystemClock,
    core::join_key,
    providers::slack::simulator::SlackSim,
    testkit::{AuthorizationServer, SimAnswer, SimRequest, Simulated, Simulator},
};

const CHANNELS: [(&str, &str); 8] = [
    ("C0DEMO001", "general"),
    ("C0DEMO002", "films"),
    ("C0DEMO003", "premieres"),
    ("C0DEMO004", "airports"),
    ("C0DEMO005", "delays"),
    ("C0DEMO006", "support"),
    ("C0DEMO007", "sales"),
    ("C0DEMO008", "random"),
];

const PEOPLE: [(&str, &str); 10] = [
    ("U0DEMO001", "Ada Lovelace"),
    ("U0DEMO002", "Grace Hopper"),
    ("U0DEMO003", "Alan Turing"),
    ("U0DEMO004", "Edsger Dijkstra"),
    ("U0DEMO005", "Barbara Liskov"),
    ("U0DEMO006", "Donald Knuth"),
    ("U0DEMO007", "Katherine Johnson"),
    ("U0DEMO008", "Margaret Hamilton"),
    ("U0DEMO009", "Ken Thompson"),
    ("U0DEMO010", "Radia Perlman"),
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
pub(crate) struct Talk {
    sim: SlackSim,
    /// Channel and `ts` of a message that will be edited, and of one that will be deleted.
    edited: (String, String),
    deleted: (String, String),
}

impl Talk {
    /// Lets a token of this server's in as well.
    pub(crate) fn authorized_by(self, server: &AuthorizationServer) -> Self {
        Self { sim: self.sim.authorized_by(server), ..self }
    }

    pub(crate) fn seeded(token: &str) -> Self {
        let sim = SlackSim::new("T0DEMO001", "Demo Films & Flights");
        sim.expect_token(token);
        let people = PEOPLE.map(|(id, name)| sim.add_user(id, name));
        let channels = CHANNELS.map(|(id, name)| sim.add_channel(id, name));
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
                let ts = sim.at(&stamp(at, mix)).post(channel, user, &text);
                let replies = if n % 9 == 4 { 1 + mix % 4 } else { 0 };
                for r in 0..replies {
                    let who = &people[(mix + 3 * r + 1) % people.len()];
                    sim.at(&stamp(at + 60 * (r as i64 + 1), mix + r)).reply(channel, &ts, who, ANSWERS[(mix + r) % 6]);
                }
                match n % 40 {
                    7 => sim.at(&stamp(at + 30, mix)).edit(channel, &ts, &format!("{text} (edited)")),
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
        let now = stamp(SystemClock.now().timestamp(), 1);
        self.sim.at(&now).edit(channel, ts, "I was wrong about that, please ignore it.");
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

    fn simulated(&self) -> &'static [Simulated] {
        self.sim.simulated()
    }

    fn not_simulated(&self) -> &'static [&'static str] {
        self.sim.not_simulated()
    }
}

/// Slack's `ts`: seconds, and six decimals that tell messages of one second apart.
fn stamp(seconds: i64, mix: usize) -> String {
    format!("{seconds}.{:06}", (mix * 7919) % 1_000_000)
}
