import AVFoundation
import AudioToolbox
import Foundation
import PagerCore

/// Sound and vibration while the app is in front, until somebody answers, and never for ever.
final class Ringer {
    static let shared = Ringer()
    static let usual = 60
    private static let longest = 120
    private static let beat: TimeInterval = 1.5

    private var player: AVAudioPlayer?
    private var vibration: Timer?
    private var end: Timer?
    /// The incident that rings; nil: none, or the app has not said which.
    private var about: String?

    func ring(_ priority: Priority, seconds: Int, about: String?) {
        DispatchQueue.main.async {
            self.stop()
            self.about = about
            self.play(priority)
            if priority != .low {
                AudioServicesPlaySystemSound(kSystemSoundID_Vibrate)
                self.vibration = Timer.scheduledTimer(withTimeInterval: Ringer.beat, repeats: true) { _ in
                    AudioServicesPlaySystemSound(kSystemSoundID_Vibrate)
                }
            }
            let limit = TimeInterval(min(max(seconds, 1), Ringer.longest))
            self.end = Timer.scheduledTimer(withTimeInterval: limit, repeats: false) { _ in self.stop() }
        }
    }

    func silence() {
        DispatchQueue.main.async { self.stop() }
    }

    /// Only where it rings for this one.
    func silence(_ incidentId: String) {
        DispatchQueue.main.async {
            if self.about == incidentId {
                self.stop()
            }
        }
    }

    private func play(_ priority: Priority) {
        guard let file = Bundle.main.url(forResource: "page", withExtension: "caf") else {
            return
        }
        let session = AVAudioSession.sharedInstance()
        // `playback` sounds with the switch at silent as well.
        if priority.isUrgent {
            try? session.setCategory(.playback, options: [.duckOthers])
        } else {
            try? session.setCategory(.soloAmbient)
        }
        try? session.setActive(true)
        player = try? AVAudioPlayer(contentsOf: file)
        player?.numberOfLoops = priority.isUrgent ? -1 : 0
        player?.play()
    }

    private func stop() {
        about = nil
        vibration?.invalidate()
        end?.invalidate()
        vibration = nil
        end = nil
        if player != nil {
            player?.stop()
            player = nil
            try? AVAudioSession.sharedInstance().setActive(false, options: [.notifyOthersOnDeactivation])
        }
    }
}
