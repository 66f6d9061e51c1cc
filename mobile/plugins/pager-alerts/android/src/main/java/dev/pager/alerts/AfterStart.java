package dev.pager.alerts;

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;

/** After the phone was started and unlocked, or the app replaced: what waits is sent, and the channels are there. */
public final class AfterStart extends BroadcastReceiver {

    @Override
    public void onReceive(Context context, Intent intent) {
        Channels.make(context);
        if (!new Outbox(context).due().isEmpty()) {
            CourierWork.later(context);
        }
    }
}
